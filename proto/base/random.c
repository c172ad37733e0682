#include "proto/base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/random.h>
#include <unistd.h>

#include "proto/base/error.h"

static int fill_from_device(uint8_t *to, size_t size)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    while (fd >= 0 && have < size) {
        ssize_t got = read(fd, to + have, size - have);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            break;
        if (got > 0)
            have += (size_t)got;
    }
    if (fd >= 0)
        (void)close(fd);
    return have == size ? 0 : ERR_IO;
}

int random_fill(void *to, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = getrandom((uint8_t *)to + have, size - have, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fill_from_device((uint8_t *)to + have, size - have);
        have += (size_t)got;
    }
    return 0;
}
