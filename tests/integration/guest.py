"""guest.py - a real Linux kernel in qemu, with nothing in it but busybox, the static probe and a script.

    kernels()                     {release: Kernel} of what install_kernels of deploy/dependencies.sh has fetched
    missing()                     why no kernel can be booted here, or None
    run(kernel, folder, script)   boots it, runs `script` (of sh) as its first process, and returns what it left in /out

A guest has CPUS processors, MEMORY, an empty disk vda, formatted and mounted at /data, and a network of its
own in which the host's 127.0.0.1 is 10.0.2.2.  Nothing of the host's is written but in `folder`; the processors
are emulated, so no KVM and no root is needed.
"""
import collections
import io
import lzma
import pathlib
import shutil
import subprocess
import tarfile

import fengsui

KERNELS = fengsui.BUILD.parent / "kernels"
PROBE = fengsui.BUILD.parent / "portable/fengsui-probe"
BUSYBOX = pathlib.Path("/bin/busybox")
CPUS = 2
MEMORY = 256 << 20
DISK = 16 << 20
BOOTS_MOST = 3
BEGUN = "== the script begins"
# In the order in which they need each other; a kernel that has one built in has no such file.
MODULES = ("virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio", "virtio_ring", "virtio_pci", "virtio_blk",
           "failover", "net_failover", "dimlib", "virtio_net")
INIT = f"""#!/busybox sh
/busybox mkdir -p /bin /proc /sys /dev /tmp /data /run /out
/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module || echo "no $module"; done
hostname guest
mke2fs /dev/vda >/dev/null && mount -t ext2 /dev/vda /data
ip link set lo up && ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2
echo "{BEGUN}"
sh -x /script
stty -F /dev/ttyS1 raw && tar -C /out -cf /dev/ttyS1 .
poweroff -f
"""

Kernel = collections.namedtuple("Kernel", "release image modules")


def kernels():
    """From the oldest to the newest."""
    found = {}
    for modules in KERNELS.glob("*/**/modules/*"):
        release = modules.name
        images = [*KERNELS.glob(f"*/boot/vmlinuz-{release}"), modules / "vmlinuz"]
        for image in images:
            if image.is_file():
                found[release] = Kernel(release, image, modules)
                break
    return dict(sorted(found.items(), key=lambda item: version(item[0])))


def version(release):
    """(6, 12) of 6.12.9-amd64."""
    return tuple(int(part) for part in release.split(".")[:2])


def missing():
    if not PROBE.exists():
        return f"no {PROBE}; deploy/portable/build.sh makes it (tests/run.sh --long does)"
    if shutil.which("qemu-system-x86_64") is None or not BUSYBOX.exists():
        return "no qemu-system-x86_64, or no /bin/busybox"
    return None if kernels() else f"no kernel in {KERNELS} (tests/run.sh --long fetches some)"


def loadable(kernel):
    """(name, bytes) of the drivers that are not built in."""
    for place, name in enumerate(MODULES):
        for path in kernel.modules.rglob(f"{name}.ko*"):
            code = path.read_bytes()
            yield f"modules/{place:02}-{name}.ko", lzma.decompress(code) if path.suffix == ".xz" else code


def cpio(files):
    """An archive in the "newc" format, as Documentation/driver-api/early-userspace/buffer-format.rst has it:
    eight hexadecimal digits a field, names and contents padded to four bytes."""
    out = io.BytesIO()

    def entry(name, mode, content=b"", device=(0, 0)):
        encoded = name.encode() + b"\0"
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
        out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        out.write(b"\0" * (-out.tell() % 4) + content)
        out.write(b"\0" * (-out.tell() % 4))

    entry("dev", 0o040755)
    entry("dev/console", 0o020600, device=(5, 1))
    entry("modules", 0o040755)
    for name, content in files:
        entry(name, 0o100755, content)
    entry("TRAILER!!!", 0)
    return out.getvalue()


def run(kernel, folder, script):
    """{name: bytes} of the files that `script` left in /out; its console is in folder/console."""
    folder.mkdir(parents=True)
    (folder / "initrd").write_bytes(cpio([
        ("init", INIT.encode()), ("script", script.encode()), ("busybox", BUSYBOX.read_bytes()),
        ("fengsui-probe", PROBE.read_bytes()), *loadable(kernel)]))
    for _ in range(BOOTS_MOST):
        console = boot(kernel, folder)
        if BEGUN in console:
            break
    try:
        with tarfile.open(folder / "out.tar") as left:
            return {member.name.removeprefix("./"): left.extractfile(member).read()
                    for member in left.getmembers() if member.isfile()}
    except tarfile.TarError as error:
        raise AssertionError(f"{kernel.release}: {error}: {console[-4000:]}") from error


def boot(kernel, folder, seconds=300):
    """One life of the guest; what its console said.  The processors take turns: where one runs while another changes
    the kernel's code (jump labels), the emulator has been seen to execute half of an instruction."""
    with open(folder / "disk", "wb") as disk:
        disk.truncate(DISK)
    with open(folder / "qemu.log", "wb") as log:
        done = subprocess.run([
            "qemu-system-x86_64", "-accel", "tcg,thread=single", "-smp", str(CPUS), "-m", str(MEMORY >> 20),
            "-display", "none", "-no-reboot", "-nodefaults", "-kernel", kernel.image, "-initrd", folder / "initrd",
            "-append", "console=ttyS0 panic=-1 net.ifnames=0", "-serial", f"file:{folder}/console",
            "-serial", f"file:{folder}/out.tar", "-drive", f"file={folder}/disk,if=virtio,format=raw",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=seconds * fengsui.PATIENCE)
    assert done.returncode == 0, (folder / "qemu.log").read_text()
    return (folder / "console").read_text(errors="replace")
