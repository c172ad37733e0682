# State and keys stay: RPM knows no purge.
reload_manager
