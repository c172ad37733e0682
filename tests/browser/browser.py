"""browser.py - headless Chromium for the console's tests, by python3-selenium and chromedriver.

It runs without a sandbox (tests run as root), with a fresh profile, and asks nobody anything: all
it loads is in its own log, which the tests read.
"""
import base64
import json
import shutil
import sys
import tempfile

from fengsui import BUILD, PATIENCE, SKIPPED, wait_for

try:
    from selenium import webdriver
    from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
except ImportError:
    print("skipped: python3-selenium is not installed")
    sys.exit(SKIPPED)

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=zh-CN", "--window-size=1440,900")


class Browser:
    """One window of Chromium."""

    def __init__(self):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        chromedriver = shutil.which("chromedriver")
        if chromium is None or chromedriver is None:
            print("skipped: chromium or its driver is not installed")
            sys.exit(SKIPPED)
        self.profile = tempfile.mkdtemp(prefix="fengsui-browser-")
        self.requests = []
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={self.profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(chromedriver), options=options)
        self.driver.set_script_timeout(20 * PATIENCE)
        self.size(1440, 900)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.picture("failed")
            sys.stderr.write("\n".join(self.complaints()) + "\n")
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)
        return False

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def dark(self, is_dark):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]})

    def open(self, address):
        self.driver.get(address)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector, seconds=20):
        """The first element that fits and is shown; waits for it."""
        return self.until(lambda: next((e for e in self.all(selector) if e.is_displayed()), None),
                          f"{selector} on the page", seconds)

    def click(self, selector):
        """Clicks what a person would see there; a page that changes meanwhile is tried again."""
        self.until(lambda: self.one(selector, 2).click() or True, f"a click on {selector}")

    def text(self, selector="body"):
        return self.script("const e = document.querySelector(arguments[0]);"
                           "return e ? e.innerText : ''", selector)

    def until(self, condition, what, seconds=20):
        def check():
            try:
                return condition()
            except (StaleElementReferenceException, WebDriverException, AssertionError) as error:
                raise ValueError(str(error)) from None
        return wait_for(check, what, seconds)

    def says(self, words, selector="body", seconds=20):
        self.until(lambda: words in self.text(selector), f"\"{words}\" in {selector}", seconds)

    def complaints(self):
        """What the browser's console said that is worse than a note, since the last call; but for
        its advice on how the tests should read a canvas."""
        return [f"{row['level']} {row['message']}" for row in self.driver.get_log("browser")
                if row["level"] in ("SEVERE", "WARNING") and "getImageData" not in row["message"]]

    def asked(self):
        """Every address that was asked for so far."""
        for row in self.driver.get_log("performance"):
            message = json.loads(row["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return self.requests

    def picture(self, name):
        """The whole page into BUILD/screenshots/NAME.png."""
        folder = BUILD / "screenshots"
        folder.mkdir(exist_ok=True)
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True})
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
