# service.sh - a daemon as a service of this host: its user, its folder, starting and stopping it.
#
# Begins the maintainer scripts of the packages (packages.cmake) and is sourced by the bundle's
# install.sh.  Plain sh, no percent signs: RPM would take those for macros.  Expected to be set:
#   program   fengsui-probe or fengsui-collector, the name of program, unit and init script
#   user      whom it runs as
#   home      its state folder
#   config    its configuration
#   units     where files for older hosts lie (fengsui-probe-el7.service, .upstart)

systemd_runs() { [ -d /run/systemd/system ]; }

upstart_runs() {
  ! systemd_runs && command -v initctl >/dev/null 2>&1 && initctl version 2>/dev/null | grep -q upstart
}

systemd_version() { systemctl --version | sed -n '1s/^systemd \([0-9][0-9]*\).*/\1/p'; }

# The units are written for systemd 235 and later.
needs_old_unit() { systemd_runs && [ "$(systemd_version)" -lt 235 ]; }

# A system user; one that is there, from whatever directory, will do.  A probe may read the journal.
make_user() {
  if id "$user" >/dev/null 2>&1; then :
  elif getent group "$user" >/dev/null 2>&1; then
    useradd -r -g "$user" -d "$home" -M -s /sbin/nologin -c "Fengsui" "$user"
  else
    useradd -r -U -d "$home" -M -s /sbin/nologin -c "Fengsui" "$user"
  fi
  if [ "$program" = fengsui-probe ] && getent group systemd-journal >/dev/null 2>&1; then
    usermod -a -G systemd-journal "$user" || echo "$user does not read the journal: it is not in systemd-journal"
  fi
}

make_home() {
  mkdir -p "$home"
  chown "$user:$user" "$home"
  chmod 0750 "$home"
  if command -v restorecon >/dev/null 2>&1; then restorecon "$home" || true; fi
}

# An upstart job is of no use to others: what an older host needs is put where it overrides the
# package's.
put_for_old_hosts() {
  if needs_old_unit && [ -f "$units/$program-el7.service" ]; then
    cp "$units/$program-el7.service" "/etc/systemd/system/$program.service"
  elif upstart_runs && [ -f "$units/$program.upstart" ]; then
    cp "$units/$program.upstart" "/etc/init/$program.conf"
  fi
}

# Only what is still ours.
take_from_old_hosts() {
  if cmp -s "$units/$program-el7.service" "/etc/systemd/system/$program.service"; then
    rm -f "/etc/systemd/system/$program.service"
  fi
  if cmp -s "$units/$program.upstart" "/etc/init/$program.conf"; then
    rm -f "/etc/init/$program.conf"
  fi
}

# systemctl, through Debian's policy-rc.d where there is one.
control() {
  if command -v deb-systemd-invoke >/dev/null 2>&1; then deb-systemd-invoke "$1" "$program.service"
  else systemctl "$1" "$program.service"; fi
}

reload_manager() {
  if systemd_runs; then systemctl daemon-reload
  elif upstart_runs; then initctl reload-configuration || true; fi
}

enable_at_boot() {
  if command -v systemctl >/dev/null 2>&1; then systemctl enable "$program.service" >/dev/null 2>&1 || true
  elif upstart_runs && [ -f "/etc/init/$program.conf" ]; then :
  elif command -v chkconfig >/dev/null 2>&1; then chkconfig --add "$program"
  elif command -v update-rc.d >/dev/null 2>&1; then update-rc.d "$program" defaults >/dev/null; fi
}

disable_at_boot() {
  if command -v systemctl >/dev/null 2>&1; then systemctl disable "$program.service" >/dev/null 2>&1 || true
  elif command -v chkconfig >/dev/null 2>&1; then chkconfig --del "$program" 2>/dev/null || true
  elif command -v update-rc.d >/dev/null 2>&1; then update-rc.d "$program" remove >/dev/null || true; fi
}

# May a program without systemd be started here?  Debian's policy-rc.d says no in images.
may_start() { [ ! -x /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d "$program" "$1" >/dev/null 2>&1; }

script() {
  if [ -x "/etc/init.d/$program" ] && may_start "$1"; then "/etc/init.d/$program" "$1"; fi
}

# A probe that was never told which collector to trust would not stay up.
is_ready() {
  [ "$program" != fengsui-probe ] ||
    ! "/usr/bin/$program" --config "$config" --check 2>&1 | grep -q "^collector's public key.*missing"
}

start_service() {
  if ! is_ready; then
    echo "$program is not started yet: $config names a collector.pub that is not there; then: service $program start"
  elif systemd_runs; then control start || echo "$program does not start; see: journalctl -u $program"
  else script start || echo "$program does not start; see: /var/log/$program.log"; fi
}

restart_if_running() {
  if systemd_runs; then control try-restart || true
  else script condrestart || true; fi
}

stop_service() {
  if systemd_runs; then control stop || true
  else script stop || true; fi
}
