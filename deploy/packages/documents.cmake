# documents.cmake - what a package, and only a package, adds to the documents that are installed; run
# while it is made (packages.cmake), in the environment of deploy/package.sh:
#   FENGSUI_PACKAGING  DEB or RPM; without it nothing is done
#   FENGSUI_RELEASE    the package's release
# and with `package`, `version`, `contact` and `sources` set.
#
# Manual pages are compressed, as both families want them.  Debian's changelog says where the news is.
if("$ENV{FENGSUI_PACKAGING}" STREQUAL "")
  return()
endif()
set(root "$ENV{DESTDIR}")
set(documents "${root}/usr/share/doc/${package}")
file(INSTALL DESTINATION /usr/share/doc/${package} TYPE FILE FILES "${sources}/deploy/packages/copyright")
file(GLOB_RECURSE pages "${root}/usr/share/man/*.[158]")
if("$ENV{FENGSUI_PACKAGING}" STREQUAL "DEB")
  string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
  file(WRITE "${documents}/changelog.Debian"
    "${package} (${version}-$ENV{FENGSUI_RELEASE}) unstable; urgency=medium\n\n"
    "  * What is new in this version: changelog.gz.\n\n -- ${contact}  ${now}\n")
  configure_file("${sources}/CHANGELOG.md" "${documents}/changelog" COPYONLY)
  list(APPEND pages "${documents}/changelog.Debian" "${documents}/changelog")
endif()
execute_process(COMMAND gzip -9nf ${pages} RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "gzip ended with ${code}")
endif()
