# fetch.cmake - npm ci in the present folder, and what to do if it fails.
execute_process(
  COMMAND ${NPM} ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
  RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "The duty console's uPlot could not be fetched.  Without a registry: bring "
    "uPlot's dist folder along and configure with -DFENGSUI_UPLOT=DIR, or leave the console out "
    "with -DFENGSUI_CONSOLE=OFF")
endif()
