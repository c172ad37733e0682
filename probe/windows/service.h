/*
 * service.h - the probe as a Windows service.
 *
 *     fengsui-probe.exe --service install [FLAGS]     automatic, restarted when it dies
 *     fengsui-probe.exe --service run [FLAGS]         as the service manager calls it
 *     fengsui-probe.exe --service remove
 *
 * Stop and shutdown end the probe as a signal does elsewhere; `sc control fengsui-probe
 * paramchange` reads the configuration again.  What the probe has to say goes to SERVICE_LOG, of
 * which one older one is kept.
 *
 * service_notify() (proto/base/service.h) tells the manager that the probe runs, or is stopping.
 */
#pragma once

#include <stdbool.h>

#include <uv.h>

#define SERVICE_NAME   "fengsui-probe"
#define SERVICE_FOLDER "C:/ProgramData/Fengsui"
#define SERVICE_CONFIG SERVICE_FOLDER "/probe.yml"
#define SERVICE_LOG    SERVICE_FOLDER "/probe.log"

/* What main() does: `--service ...` as above, anything else is `run` at once. */
int service_main(int argc, char **argv, int (*run)(int argc, char **argv));

enum service_wish { SERVICE_WISH_NOTHING, SERVICE_WISH_END, SERVICE_WISH_RELOAD };

/* Who is woken when the manager wishes something; NULL: nobody.  The loop's thread. */
void service_wake(uv_async_t *wake);

/* The wish since the last call. */
enum service_wish service_wished(void);

/* Does SERVICE_LOG begin anew, when it has grown large?  Nothing if this is no service. */
void service_turn_log(void);
