if [ "$1" = remove ]; then
  stop_service
  disable_at_boot
  take_from_old_hosts
fi
