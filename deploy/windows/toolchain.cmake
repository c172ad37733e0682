# toolchain.cmake - mingw-w64 for 64-bit Windows from Server 2012 R2 on (NT 6.3).
#
# The posix flavour of the compiler has pthreads and C++11 threads in static archives; what is
# linked needs no DLL but the system's, and msvcrt.dll, which every Windows has (the newer
# ucrtbase.dll comes to 2012 R2 by an update only).
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
