if [ "$1" = configure ]; then
  make_user
  make_home
  put_for_old_hosts
  reload_manager
  if [ -e "/run/$program.new" ]; then
    rm -f "/run/$program.new"
    enable_at_boot
    start_service
  else
    restart_if_running
  fi
fi
