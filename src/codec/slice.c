/* Slices of lists and tuples, by Python's rules.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/object.h"
#include "codec/symbol.h"

/* Where an end of a slice is among `length` items: from 0 (-1 going backward) to length. */
static ptrdiff_t clip(ptrdiff_t index, ptrdiff_t length, bool is_backward) {
    ptrdiff_t lowest = is_backward ? -1 : 0, highest = is_backward ? length - 1 : length;
    if (index < 0)
        index = index < -length ? lowest : index + length;
    return index < lowest ? lowest : index > highest ? highest : index;
}

int mp_slice_indices(mp_slice slice, size_t length, size_t *first, ptrdiff_t *step, size_t *count) {
    ptrdiff_t size = (ptrdiff_t)length;
    if (!first || !step || !count)
        return mp__fail(MP_EINVAL, "mp_slice_indices: an argument is NULL");
    if (slice.step == 0)
        return mp__fail(MP_EINVAL, "slice step cannot be zero");
    bool is_backward = slice.step != MP_SLICE_NONE && slice.step < 0;
    ptrdiff_t by = slice.step == MP_SLICE_NONE     ? 1
                   : slice.step < -PTRDIFF_MAX / 2 ? -PTRDIFF_MAX / 2
                                                   : slice.step;
    ptrdiff_t start = slice.start == MP_SLICE_NONE ? (is_backward ? size - 1 : 0)
                                                   : clip(slice.start, size, is_backward);
    ptrdiff_t stop = slice.stop == MP_SLICE_NONE ? (is_backward ? -1 : size)
                                                 : clip(slice.stop, size, is_backward);
    ptrdiff_t span = is_backward ? start - stop : stop - start;
    *count = span > 0 ? (size_t)((span - 1) / (is_backward ? -by : by) + 1) : 0;
    *first = start > 0 ? (size_t)start : 0;
    *step = by;
    return 0;
}

struct range { /* a slice of a certain sequence */
    mp_object **items;
    size_t length; /* of all items */
    size_t first;
    ptrdiff_t step;
    size_t count;
};

static int look(struct range *out, const mp_object *sequence, mp_slice slice) {
    if (mp__is_kind(sequence, MP_OBJECT_TUPLE)) {
        struct mp__tuple *tuple = (struct mp__tuple *)sequence;
        out->items = tuple->items;
        out->length = tuple->count;
    } else if (mp__is_kind(sequence, MP_OBJECT_LIST)) {
        struct mp__list *list = (struct mp__list *)sequence;
        out->items = list->items;
        out->length = list->count;
    } else {
        return sequence ? mp__fail(MP_ETYPE, "expected list or tuple, got %s",
                                   mp_object_kind_name(mp__kind_of(sequence)))
                        : mp__fail(MP_EINVAL, "the list is NULL");
    }
    return mp_slice_indices(slice, out->length, &out->first, &out->step, &out->count);
}

static mp_object **item_of(const struct range *range, size_t i) {
    return &range->items[(ptrdiff_t)range->first + (ptrdiff_t)i * range->step];
}

static mp_object *copy_items(const struct range *range, bool is_tuple) {
    mp_object *copy = is_tuple ? mp__tuple_alloc(range->count) : mp_list_new();
    if (!copy || (!is_tuple && mp__list_reserve(copy, range->count) < 0)) {
        mp_object_free(copy);
        return NULL;
    }
    mp_object **to =
        is_tuple ? ((struct mp__tuple *)copy)->items : ((struct mp__list *)copy)->items;
    for (size_t i = 0; i < range->count; i++) {
        to[i] = mp_object_ref(*item_of(range, i));
        mp__node_place_new(copy, to[i]);
    }
    if (!is_tuple)
        ((struct mp__list *)copy)->count = range->count;
    return copy;
}

mp_object *mp_list_slice(const mp_object *sequence, mp_slice slice) {
    struct range range;
    if (look(&range, sequence, slice) < 0)
        return NULL;
    return copy_items(&range, mp__is_kind(sequence, MP_OBJECT_TUPLE));
}

static const mp_slice everything = {MP_SLICE_NONE, MP_SLICE_NONE, MP_SLICE_NONE};

mp_object *mp_list_copy(const mp_object *sequence) {
    struct range range;
    return look(&range, sequence, everything) < 0 ? NULL : copy_items(&range, false);
}

mp_object *mp_tuple_copy(const mp_object *sequence) {
    struct range range;
    return look(&range, sequence, everything) < 0 ? NULL : copy_items(&range, true);
}

/* Neighbours make way or move up: `count` of them become `wanted` places. */
static int resize_gap(struct mp__list *list, size_t first, size_t count, size_t wanted) {
    if (wanted > count) {
        int code = mp__list_reserve(&list->node.head, wanted - count);
        if (code < 0)
            return code;
    }
    if (list->count > first + count)
        memmove(list->items + first + wanted, list->items + first + count,
                (list->count - first - count) * sizeof *list->items);
    list->count = list->count - count + wanted;
    return 0;
}

static int place_all(mp_object *list, const struct mp__list *new_items) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < new_items->count; i++)
        code = mp__node_place(list, new_items->items[i]);
    return code;
}

/* What is replaced is swapped into `new_items`, a list of our own, and goes with it. */
static int swap_in(mp_object *object, const struct range *range, struct mp__list *new_items) {
    struct mp__list *list = (struct mp__list *)object;
    size_t wanted = new_items->count;
    if (range->step != 1 && wanted != range->count)
        return mp__fail(MP_EINVAL,
                        "attempt to assign sequence of size %zu to extended slice of size %zu",
                        wanted, range->count);
    int code = place_all(object, new_items);
    if (code == 0 && range->count > wanted)
        code = mp__list_reserve(&new_items->node.head, range->count - wanted);
    mp_object **old = code == 0 && range->count ? malloc(range->count * sizeof *old) : NULL;
    if (code == 0 && range->count && !old)
        code = mp__fail(-ENOMEM, "mp_list_set_slice");
    for (size_t i = 0; code == 0 && i < range->count; i++)
        old[i] = *item_of(range, i);
    if (code == 0 && range->step == 1)
        code = resize_gap(list, range->first, range->count, wanted);
    if (code == 0) {
        struct range to = *range;
        to.items = list->items;
        for (size_t i = 0; i < wanted; i++)
            *item_of(&to, i) = new_items->items[i];
        if (range->count)
            memcpy(new_items->items, old, range->count * sizeof *old);
        new_items->count = range->count;
    }
    free(old);
    return code;
}

int mp_list_set_slice(mp_object *list, mp_slice slice, const mp_object *items) {
    struct range range;
    int code = mp__expect_kind(list, MP_OBJECT_LIST, "mp_list_set_slice");
    if (code == 0)
        code = look(&range, list, slice);
    if (code < 0)
        return code;
    mp_object *mine = mp_list_copy(items);
    if (!mine)
        return mp__is_kind(items, MP_OBJECT_LIST) || mp__is_kind(items, MP_OBJECT_TUPLE) ? -ENOMEM
               : items                                                                   ? MP_ETYPE
                       : MP_EINVAL;
    code = swap_in(list, &range, (struct mp__list *)mine);
    mp_object_free(mine);
    return code;
}

/* From the front, so that each item that stays moves once. */
int mp_list_delete_slice(mp_object *object, mp_slice slice) {
    struct range range;
    int code = mp__expect_kind(object, MP_OBJECT_LIST, "mp_list_delete_slice");
    if (code == 0)
        code = look(&range, object, slice);
    mp_object *gone = code == 0 ? copy_items(&range, false) : NULL;
    if (!gone)
        return code < 0 ? code : -ENOMEM;
    struct mp__list *list = (struct mp__list *)object;
    size_t kept = 0;
    for (size_t i = 0; i < range.count; i++)
        *item_of(&range, i) = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i])
            list->items[kept++] = list->items[i];
    list->count = kept;
    mp__objects_release(((struct mp__list *)gone)->items, range.count);
    mp_object_free(gone);
    return 0;
}
