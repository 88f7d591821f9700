/* Bytes from outside as a pickle: whatever they are, reading gives an object or an error, and an
 * object that was read can be printed, copied, written, read again and freed.
 * SPDX-License-Identifier: MIT
 *
 * fuzz.sh builds it with libFuzzer; ctest replays the corpus with replay.c. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/pickle.h"
#include "codec/repr.h"
#include "mp/collection.h"
#include "mp/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right) {
    if (!is_right)
        abort();
}

/* What is written can be read, and is written the same way again. */
static void check_protocol(const mp_object *object, int protocol) {
    void *first, *second;
    size_t first_size, second_size;
    mp_object *again;
    mp_load_limits limits = {.depth = 60000};
    if (mp_object_dumps(object, protocol, &first, &first_size) < 0)
        return;
    if (mp_object_loads_limited(&again, first, first_size, &limits) == 0) {
        check(mp_object_dumps(again, protocol, &second, &second_size) == 0);
        free(second);
        check(mp_object_equal(object, again) >= 0);
        mp_object_free(again);
    }
    free(first);
}

static void change(mp_object *object) {
    if (mp_object_get_kind(object) == MP_OBJECT_LIST) {
        mp_list_append(object, mp_object_ref(object));
        mp_list_extend(object, object);
        mp_list_delete(object, 0);
    } else if (mp_object_get_kind(object) == MP_OBJECT_DICT) {
        mp_dict_set_text(object, "a", mp_object_ref(object));
        mp_dict_set(object, mp_integer_new(1), mp_object_copy(object));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mp_object *object, *copy;
    struct mp__buffer text = {0};
    mp_load_limits limits = {.bytes = 64 << 20};
    if (mp_object_loads_limited(&object, data, size, &limits) < 0)
        return 0;
    mp__object_print(&text, object, 1 << 16, NULL);
    mp__buffer_fini(&text);
    copy = mp_object_copy(object);
    mp_object_equal(object, object);
    for (int protocol = 2; protocol <= MP_PICKLE_HIGHEST; protocol++)
        check_protocol(object, protocol);
    change(object);
    mp_object_free(copy);
    mp_object_free(object);
    return 0;
}
