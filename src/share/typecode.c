/* The table of type codes.
 * SPDX-License-Identifier: MIT */
#include "share/typecode.h"

#include <stdbool.h>
#include <wchar.h>

#include "mp/base.h"

#include "base/fail.h"

size_t mp__typecode_size(char typecode) {
    static const struct {
        char code;          /* Python's letter */
        unsigned char size; /* of the C type */
    } table[] = {
        {'c', sizeof(char)},          {'b', sizeof(signed char)}, {'B', sizeof(char)},
        {'u', sizeof(wchar_t)},       {'h', sizeof(short)},       {'H', sizeof(unsigned short)},
        {'i', sizeof(int)},           {'I', sizeof(unsigned)},    {'l', sizeof(long)},
        {'L', sizeof(unsigned long)}, {'q', sizeof(long long)},   {'Q', sizeof(unsigned long long)},
        {'f', sizeof(float)},         {'d', sizeof(double)},      {'?', sizeof(bool)},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == typecode)
            return table[i].size;
    return 0;
}

int mp__typecode_check(char typecode, const char *function, size_t *size) {
    *size = mp__typecode_size(typecode);
    if (*size > 0)
        return 0;
    return mp__fail(MP_ETYPE, "%s: there is no typecode '%c' (%d); known are cbBuhHiIlLqQfd?",
                    function, typecode >= ' ' && typecode <= '~' ? typecode : '?', typecode);
}
