@echo off
rem install.cmd - the probe as a service of this host.  Run as administrator, from a folder that holds
rem fengsui-probe.exe, collector.pub and enrol.token (the collector's DATA\keys), with the collector's
rem endpoint:
rem
rem     install.cmd tcp://192.0.2.7:9471
rem
rem Again with a newer .exe: it is replaced; configuration, key and spool stay.
setlocal
set "home=%ProgramData%\Fengsui"
set "program=%ProgramFiles%\Fengsui"
if not exist "%home%\probe.yml" if "%~1"=="" (
  echo usage: install.cmd tcp://HOST:9471
  exit /b 2
)
if not exist "%~dp0fengsui-probe.exe" (
  echo fengsui-probe.exe is not beside install.cmd
  exit /b 2
)
"%SystemRoot%\System32\sc.exe" query fengsui-probe >nul 2>&1 && "%program%\fengsui-probe.exe" --service remove
if not exist "%home%" mkdir "%home%" || exit /b 1
if not exist "%program%" mkdir "%program%" || exit /b 1
rem What lies below is SYSTEM's and the administrators' alone: the token, the probe's key.
icacls "%home%" /inheritance:r /grant *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F >nul
copy /y "%~dp0fengsui-probe.exe" "%program%\" >nul || exit /b 1
if exist "%~dp0collector.pub" copy /y "%~dp0collector.pub" "%home%\" >nul
if exist "%~dp0enrol.token" copy /y "%~dp0enrol.token" "%home%\" >nul
if not exist "%home%\probe.yml" (
  echo collector: {endpoint: "%~1", key: collector.pub, token: enrol.token}>"%home%\probe.yml"
  echo state: probe>>"%home%\probe.yml"
)
"%program%\fengsui-probe.exe" --check --config "%home%\probe.yml" || exit /b 2
"%program%\fengsui-probe.exe" --service install --config "%home%\probe.yml" || exit /b 1
"%SystemRoot%\System32\sc.exe" start fengsui-probe
