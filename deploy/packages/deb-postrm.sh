if [ "$1" = remove ]; then reload_manager; fi
# The user stays: a number that is given away again would own what this one has left in backups.
if [ "$1" = purge ]; then
  rm -rf "$home"
  rm -f "/var/log/$program.log" "/run/$program.new"
  for file in $secrets; do rm -f "/etc/fengsui/$file"; done
  rmdir /etc/fengsui/rules /etc/fengsui/holidays /etc/fengsui 2>/dev/null || true
fi
