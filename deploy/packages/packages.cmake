# packages.cmake - two packages, for dpkg and for RPM: fengsui-probe, fengsui-collector (with
# fengsuictl).  `cpack` makes them, most simply by deploy/package.sh, which gives it the static
# probe (environment FENGSUI_STATIC_PROBE) instead of the one that was just built.
#
# What dpkg and RPM run at each step is made here of service.sh and one short file a step.
set(CPACK_GENERATOR "")
find_program(FENGSUI_DPKG_DEB dpkg-deb)
find_program(FENGSUI_RPMBUILD rpmbuild)
if(FENGSUI_DPKG_DEB)
  list(APPEND CPACK_GENERATOR DEB)
endif()
if(FENGSUI_RPMBUILD)
  list(APPEND CPACK_GENERATOR RPM)
endif()
if(CPACK_GENERATOR STREQUAL "")
  return()
endif()

set(contact "Fengsui maintainers <root@localhost>")
install(CODE "
  if(NOT \"\$ENV{FENGSUI_STATIC_PROBE}\" STREQUAL \"\")
    file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/bin\" TYPE PROGRAM
      FILES \"\$ENV{FENGSUI_STATIC_PROBE}\")
  endif()
  # Files that only a package lays down: by hand, only hosts that need the script want it.
  if(NOT \"\$ENV{FENGSUI_PACKAGING}\" STREQUAL \"\")
    file(INSTALL DESTINATION /etc/init.d RENAME fengsui-probe TYPE PROGRAM
      FILES \"${CMAKE_CURRENT_SOURCE_DIR}/init/fengsui-probe.init\")
    file(INSTALL DESTINATION /etc/logrotate.d RENAME fengsui-probe TYPE FILE
      FILES \"${CMAKE_CURRENT_SOURCE_DIR}/init/fengsui-probe.logrotate\")
  endif()" COMPONENT probe)
foreach(component probe collector)
  install(CODE "
    set(package fengsui-${component})
    set(contact \"${contact}\")
    set(version ${PROJECT_VERSION})
    set(sources \"${PROJECT_SOURCE_DIR}\")
    include(\"${CMAKE_CURRENT_SOURCE_DIR}/packages/documents.cmake\")" COMPONENT ${component})
endforeach()

set(probe_identity "program=fengsui-probe\nuser=fengsui-probe\nhome=/var/lib/fengsui-probe\nconfig=/etc/fengsui/probe.yml\nsecrets='collector.pub enrol.token'\n")
set(collector_identity "program=fengsui-collector\nuser=fengsui\nhome=/var/lib/fengsui\nconfig=/etc/fengsui/collector.yml\nsecrets=\n")
set(made ${CMAKE_CURRENT_BINARY_DIR}/packages)

# script(RET COMPONENT STEP NAME): STEP.sh with all it needs, as made/COMPONENT/NAME.
function(script ret component step name)
  set(here ${CMAKE_CURRENT_SOURCE_DIR}/packages)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${here}/service.sh ${here}/${step}.sh)
  file(READ ${here}/service.sh service)
  file(READ ${here}/${step}.sh body)
  set(path ${made}/${component}/${name})
  file(WRITE ${path} "#!/bin/sh\nset -e\n${${component}_identity}units=/usr/share/fengsui/examples\n\n${service}\n${body}")
  file(CHMOD ${path} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  set(${ret} ${path} PARENT_SCOPE)
endfunction()

set(probe_conffiles fengsui/probe.yml init.d/fengsui-probe logrotate.d/fengsui-probe)
set(collector_conffiles ${collector_config})
list(TRANSFORM collector_conffiles REPLACE "^config/" "")
list(TRANSFORM collector_conffiles PREPEND fengsui/)
set(probe_summary "measures this host and sends what it sees to a Fengsui collector")
set(collector_summary "keeps what Fengsui's probes see, evaluates rules, wakes who is on duty")

foreach(component probe collector)
  string(TOUPPER ${component} upper)
  list(TRANSFORM ${component}_conffiles PREPEND /etc/)
  string(JOIN "\n" conffiles ${${component}_conffiles})
  file(WRITE ${made}/${component}/conffiles "${conffiles}\n")
  set(control ${made}/${component}/conffiles)
  foreach(step preinst postinst prerm postrm)
    script(path ${component} deb-${step} ${step})
    list(APPEND control ${path})
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME fengsui-${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION admin)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${control}")
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${${component}_summary}")

  set(files ${${component}_conffiles})
  list(TRANSFORM files PREPEND "%config(noreplace) ")
  set(CPACK_RPM_${upper}_PACKAGE_NAME fengsui-${component})
  set(CPACK_RPM_${upper}_USER_FILELIST "${files}")
  # Their customs differ: a summary of RPM begins with a capital.
  string(SUBSTRING "${${component}_summary}" 0 1 first)
  string(SUBSTRING "${${component}_summary}" 1 -1 rest)
  string(TOUPPER "${first}" first)
  set(CPACK_RPM_${upper}_PACKAGE_SUMMARY "${first}${rest}")
  script(CPACK_RPM_${upper}_POST_INSTALL_SCRIPT_FILE ${component} rpm-post post)
  script(CPACK_RPM_${upper}_PRE_UNINSTALL_SCRIPT_FILE ${component} rpm-preun preun)
  script(CPACK_RPM_${upper}_POST_UNINSTALL_SCRIPT_FILE ${component} rpm-postun postun)
endforeach()

set(CPACK_PACKAGE_NAME fengsui)
set(CPACK_PACKAGE_VENDOR Fengsui)
set(CPACK_PACKAGE_CONTACT "${contact}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "watch towers for servers")
set(CPACK_PACKAGE_DESCRIPTION "Fengsui is a chain of watch towers for servers: a light probe on every host, one collector in the middle, and a message to the person on duty when something is wrong.")
set(CPACK_COMPONENTS_ALL probe collector)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
# gzip, which the rpm of EL6 reads; the static probe needs nothing, the collector what it is linked to.
set(CPACK_RPM_COMPRESSION_TYPE gzip)
set(CPACK_RPM_PACKAGE_AUTOREQ ON)
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /etc/init.d /etc/logrotate.d /usr/lib/systemd
  /usr/lib/systemd/system /usr/lib/sysusers.d /usr/share/bash-completion
  /usr/share/bash-completion/completions /usr/share/man /usr/share/man/man1 /usr/share/man/man5
  /usr/share/man/man8 /usr/share/man/zh_CN /usr/share/man/zh_CN/man1
  /usr/share/man/zh_CN/man5 /usr/share/man/zh_CN/man8)
include(CPack)
