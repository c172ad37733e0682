if [ "$1" -eq 0 ]; then
  stop_service
  disable_at_boot
  take_from_old_hosts
fi
