/* Lists and tuples.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/object.h"
#include "codec/symbol.h"

mp_object *mp__tuple_alloc(size_t count) {
    struct mp__tuple *tuple =
        mp__node_alloc(MP_OBJECT_TUPLE, sizeof *tuple + count * sizeof tuple->items[0]);
    if (!tuple)
        return NULL;
    tuple->count = count;
    return &tuple->node.head;
}

mp_object *mp_tuple_new(mp_object *const *items, size_t count) {
    bool is_whole = items || count == 0;
    for (size_t i = 0; is_whole && i < count; i++)
        is_whole = items[i] != NULL;
    mp_object *tuple = NULL;
    if (!is_whole)
        mp__fail(MP_EINVAL, "mp_tuple_new: an item is NULL");
    else if (count > PTRDIFF_MAX / 16)
        mp__fail(-ENOMEM, "a tuple of %zu items", count);
    else
        tuple = mp__tuple_alloc(count);
    if (!tuple) {
        mp__objects_release(items, items ? count : 0);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        ((struct mp__tuple *)tuple)->items[i] = items[i];
        mp__node_place_new(tuple, items[i]);
    }
    return tuple;
}

static int reserve_items(struct mp__list *list, size_t more) {
    if (list->capacity - list->count >= more)
        return 0;
    size_t capacity = list->count + list->count / 2 + 4;
    if (capacity < list->count + more)
        capacity = list->count + more;
    if (capacity > PTRDIFF_MAX / sizeof *list->items)
        return mp__fail(-ENOMEM, "a list of %zu items", capacity);
    void *items = realloc(list->items, capacity * sizeof *list->items);
    if (!items)
        return mp__fail(-ENOMEM, "a list of %zu items", capacity);
    list->items = items;
    list->capacity = capacity;
    return 0;
}

int mp__list_reserve(mp_object *list, size_t more) {
    return reserve_items((struct mp__list *)list, more);
}

mp_object *mp_list_new(void) {
    return mp__node_alloc(MP_OBJECT_LIST, sizeof(struct mp__list));
}

static int look(const mp_object *sequence, mp_object *const **items, size_t *count) {
    *items = NULL;
    *count = 0;
    if (mp__is_kind(sequence, MP_OBJECT_LIST)) {
        *items = ((const struct mp__list *)sequence)->items;
        *count = ((const struct mp__list *)sequence)->count;
    } else if (mp__is_kind(sequence, MP_OBJECT_TUPLE)) {
        *items = ((const struct mp__tuple *)sequence)->items;
        *count = ((const struct mp__tuple *)sequence)->count;
    } else {
        return sequence ? mp__fail(MP_ETYPE, "expected list or tuple, got %s",
                                   mp_object_kind_name(mp__kind_of(sequence)))
                        : mp__fail(MP_EINVAL, "the list is NULL");
    }
    return 0;
}

/* A place from an index that may count from the end. */
static int find_place(ptrdiff_t index, size_t count, size_t *place, const char *what) {
    ptrdiff_t from_start = index < 0 ? index + (ptrdiff_t)count : index;
    *place = 0;
    if (from_start < 0 || (size_t)from_start >= count)
        return mp__fail(MP_EINDEX, "%s index %td out of range: it has %zu items", what, index,
                        count);
    *place = (size_t)from_start;
    return 0;
}

mp_object *mp_list_get(const mp_object *list, ptrdiff_t index) {
    mp_object *const *items;
    size_t count, place;
    if (look(list, &items, &count) < 0 ||
        find_place(index, count, &place, mp_object_kind_name(mp__kind_of(list))) < 0)
        return NULL;
    return items[place];
}

mp_object *mp_tuple_get(const mp_object *tuple, ptrdiff_t index) {
    return mp_list_get(tuple, index);
}

/* What every function that puts an item in begins with; the item is gone on failure. */
static int begin_put(mp_object *list, mp_object *item, size_t more, const char *function) {
    int code = mp__expect_kind(list, MP_OBJECT_LIST, function);
    if (code == 0 && !item)
        code = mp__fail(-ENOMEM, "%s: the item could not be made", function);
    if (code == 0)
        code = reserve_items((struct mp__list *)list, more);
    if (code == 0)
        code = mp__node_place(list, item);
    if (code < 0)
        mp_object_free(item);
    return code;
}

int mp_list_append(mp_object *object, mp_object *item) {
    int code = begin_put(object, item, 1, "mp_list_append");
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    list->items[list->count++] = item;
    return 0;
}

int mp_list_insert(mp_object *object, ptrdiff_t index, mp_object *item) {
    int code = begin_put(object, item, 1, "mp_list_insert");
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    ptrdiff_t count = (ptrdiff_t)list->count;
    index = index < 0 ? index + count : index;
    size_t place = (size_t)(index < 0 ? 0 : index > count ? count : index);
    memmove(list->items + place + 1, list->items + place,
            (list->count - place) * sizeof *list->items);
    list->items[place] = item;
    list->count++;
    return 0;
}

int mp_list_set(mp_object *object, ptrdiff_t index, mp_object *item) {
    int code = begin_put(object, item, 0, "mp_list_set");
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    size_t place;
    code = find_place(index, list->count, &place, "list");
    if (code < 0) {
        mp_object_free(item);
        return code;
    }
    mp_object *old = list->items[place];
    list->items[place] = item;
    mp_object_free(old);
    return 0;
}

static int take_item(mp_object **out, mp_object *object, ptrdiff_t index, const char *function) {
    int code = mp__expect_kind(object, MP_OBJECT_LIST, function);
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    size_t place;
    code = find_place(index, list->count, &place, "list");
    if (code < 0)
        return code;
    *out = list->items[place];
    list->count--;
    memmove(list->items + place, list->items + place + 1,
            (list->count - place) * sizeof *list->items);
    return 0;
}

int mp_list_delete(mp_object *list, ptrdiff_t index) {
    mp_object *item;
    int code = take_item(&item, list, index, "mp_list_delete");
    if (code == 0)
        mp_object_free(item);
    return code;
}

int mp_list_pop(mp_object **out, mp_object *list, ptrdiff_t index) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_list_pop: out is NULL");
    return take_item(out, list, index, "mp_list_pop");
}

int mp_list_extend(mp_object *list, const mp_object *source) {
    mp_object *const *items;
    size_t count;
    int code = mp__expect_kind(list, MP_OBJECT_LIST, "mp_list_extend");
    if (code == 0)
        code = look(source, &items, &count);
    if (code == 0)
        code = reserve_items((struct mp__list *)list, count);
    if (code == 0 && count > 0)
        code = look(source, &items, &count); /* a list that extends itself may have moved */
    for (size_t i = 0; code == 0 && i < count; i++)
        code = mp__node_place(list, items[i]);
    for (size_t i = 0; code == 0 && i < count; i++) {
        struct mp__list *target = (struct mp__list *)list;
        target->items[target->count++] = mp_object_ref(items[i]);
    }
    return code;
}

int mp_list_reverse(mp_object *object) {
    int code = mp__expect_kind(object, MP_OBJECT_LIST, "mp_list_reverse");
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    for (size_t i = 0, j = list->count; i + 1 < j; i++) {
        mp_object *item = list->items[--j];
        list->items[j] = list->items[i];
        list->items[i] = item;
    }
    return 0;
}

int mp_list_find(const mp_object *list, const mp_object *item, size_t *index) {
    mp_object *const *items;
    size_t count;
    if (!item || !index)
        return mp__fail(MP_EINVAL, "mp_list_find: an argument is NULL");
    int code = look(list, &items, &count);
    for (size_t i = 0; code == 0 && i < count; i++) {
        int is_equal = items[i] == item ? 1 : mp_object_equal(items[i], item);
        if (is_equal == 1)
            *index = i;
        if (is_equal != 0)
            return is_equal < 0 ? is_equal : 0;
    }
    return code < 0 ? code : mp__fail(MP_EINDEX, "mp_list_find: no such item among %zu", count);
}

/* The items may hold the list itself, so it is empty before they go. */
void mp__list_empty(mp_object *object) {
    struct mp__list *list = (struct mp__list *)object;
    mp_object **items = list->items;
    size_t count = list->count;
    list->items = NULL;
    list->count = list->capacity = 0;
    mp__objects_release(items, count);
    free(items);
}
