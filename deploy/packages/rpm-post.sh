make_user
make_home
put_for_old_hosts
reload_manager
# As the family does it: a new service waits for its administrator, or for a preset.
if [ "$1" -gt 1 ]; then restart_if_running
elif command -v systemctl >/dev/null 2>&1; then systemctl preset "$program.service" >/dev/null 2>&1 || true
else enable_at_boot; fi
