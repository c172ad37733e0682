# One that was removed and comes back is new, though dpkg remembers a version of it.
if [ "$1" = install ]; then : >"/run/$program.new"; fi
