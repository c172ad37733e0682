/* route.c - see route.h. */
#include "collector/http/route.h"

#include <string.h>

enum http_method route_method(const char *name, const char *path)
{
    static const struct {
        const char *name;
        enum http_method method;
    } names[] = {
        {"GET", HTTP_GET}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}};
    if (strcmp(name, "HEAD") == 0)
        return route_has_head(path) ? HTTP_GET : 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].method;
    return 0;
}

bool route_has_head(const char *path)
{
    return strncmp(path, "/api/v1/", 8) != 0 && strcmp(path, "/federate") != 0 &&
           strcmp(path, "/metrics") != 0;
}

/* "/a/b"; ending in a slash and a star, everything below; "/a/ * /b" without the blanks: one name
 * where the star is. */
static bool matches(const struct http_route *route, const char *path, const char **ret_rest)
{
    const char *star = strstr(route->path, "/*");
    *ret_rest = "";
    if (star == NULL)
        return strcmp(route->path, path) == 0;
    size_t size = (size_t)(star - route->path) + 1;
    if (strncmp(route->path, path, size) != 0)
        return false;
    *ret_rest = path + size;
    return star[2] == '\0' || strcmp(path + size + strcspn(path + size, "/"), star + 2) == 0;
}

const struct http_route *route_find(const struct http_route *routes, size_t count,
                                    enum http_method method, const char *path,
                                    const char **ret_rest, bool *ret_is_known)
{
    *ret_is_known = false;
    for (size_t i = 0; i < count; i++) {
        if (!matches(&routes[i], path, ret_rest))
            continue;
        if ((routes[i].methods & method) != 0)
            return &routes[i];
        *ret_is_known = true;
    }
    *ret_rest = "";
    return NULL;
}

const char *route_allowed(const struct http_route *routes, size_t count, const char *path)
{
    static const char *const texts[16] = {
        "OPTIONS",       "GET, OPTIONS",       "OPTIONS, POST",      "GET, OPTIONS, POST",
        "OPTIONS, PUT",  "GET, OPTIONS, PUT",  "OPTIONS, POST, PUT", "GET, OPTIONS, POST, PUT",
        "DELETE, OPTIONS", "DELETE, GET, OPTIONS", "DELETE, OPTIONS, POST",
        "DELETE, GET, OPTIONS, POST", "DELETE, OPTIONS, PUT", "DELETE, GET, OPTIONS, PUT",
        "DELETE, OPTIONS, POST, PUT", "DELETE, GET, OPTIONS, POST, PUT"};
    unsigned methods = 0;
    for (size_t i = 0; i < count; i++) {
        const char *rest;
        if (matches(&routes[i], path, &rest))
            methods |= routes[i].methods;
    }
    return texts[methods & 15];
}
