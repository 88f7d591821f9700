/* Which objects of a server live: those that clients, the server or other living objects refer to.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <unistd.h>

#include "mgr/managed.h"
#include "mgr/server.h"

static struct mp_manager manager;
static struct mp__registry registry;
static struct mp__server *server;

static void begin(void) {
    static char address[64];
    snprintf(address, sizeof address, "unix:/tmp/mpt-referent-%d", (int)getpid());
    manager = (struct mp_manager){.registry = &registry, .address = address};
    MPT_OK(mp__server_new(&server, &manager));
}

static void end(void) {
    mp__server_free(server);
}

/* A list with one reference of a client, and no hold. */
static struct mp__managed *make(void) {
    struct mp__managed *list = mp__referent_new(server, &mp__list_class, sizeof *list);
    MPT_CHECK(list);
    list->object = mp_list_new();
    MPT_OK(mp__referent_incref(server, &list->referent, NULL));
    mp__referent_unhold(server, &list->referent);
    return list;
}

static void put_proxy(struct mp__managed *into, struct mp__managed *of) {
    char ident[MP__IDENT_MAX];
    mp__referent_ident(&of->referent, ident);
    mp_object *token = mp__token_new("list", mp_object_ref(server->address), ident);
    MPT_OK(mp_list_append(into->object, mp__proxy_form_new("ListProxy", token, NULL)));
    mp__referent_nest(server, &of->referent);
}

static void sweep(void) {
    mp__referents_free(server, mp__referents_sweep(server));
}

static void let_go(struct mp__managed *list) {
    MPT_OK(mp__referent_decref(server, &list->referent, NULL));
    sweep();
}

/* As if so long had passed. */
static void collect_at(mp__time seconds) {
    mp__referents_collect(server, mp__now() + seconds * MP__SECOND);
    sweep();
}

/* One that only another one referred to, which has lost it. */
static struct mp__managed *make_lost(void) {
    struct mp__managed *outer = make(), *inner = make();
    put_proxy(outer, inner);
    let_go(inner);
    MPT_OK(mp_list_delete(outer->object, 0));
    collect_at(1000);
    return inner;
}

static void test_the_last_reference_frees(void **state) {
    (void)state;
    begin();
    struct mp__managed *list = make();
    MPT_OK(mp__referent_incref(server, &list->referent, NULL));
    let_go(list);
    assert_int_equal(server->referents.total, 1);
    let_go(list);
    assert_int_equal(server->referents.total, 0);
    end();
}

static void test_idents_name_one_object(void **state) {
    (void)state;
    char ident[MP__IDENT_MAX];
    begin();
    struct mp__managed *list = make();
    mp__referent_ident(&list->referent, ident);
    assert_ptr_equal(mp__referent_find(server, ident), list);
    assert_null(mp__referent_find(server, "0"));
    assert_null(mp__referent_find(server, ""));
    assert_null(mp__referent_find(server, "-1"));
    char longer[MP__IDENT_MAX + 1];
    snprintf(longer, sizeof longer, "0%s", ident);
    assert_null(mp__referent_find(server, longer));
    end();
}

static void test_what_is_in_a_living_object_lives(void **state) {
    (void)state;
    begin();
    struct mp__managed *outer = make(), *inner = make(), *innermost = make();
    put_proxy(outer, inner);
    put_proxy(inner, innermost);
    let_go(inner);
    let_go(innermost);
    collect_at(1000);
    collect_at(2000);
    assert_int_equal(server->referents.total, 3);
    assert_int_equal(server->referents.counted, 1);
    MPT_OK(mp__referent_incref(server, &innermost->referent, NULL));
    let_go(innermost);
    end();
}

static void test_what_is_in_nothing_goes_after_a_while(void **state) {
    (void)state;
    begin();
    (void)make_lost();
    collect_at(1010);
    assert_int_equal(server->referents.total, 2);
    collect_at(1031);
    assert_int_equal(server->referents.total, 1);
    end();
}

static void test_who_takes_it_out_in_time_keeps_it(void **state) {
    (void)state;
    begin();
    struct mp__managed *inner = make_lost();
    MPT_OK(mp__referent_incref(server, &inner->referent, NULL));
    collect_at(1031);
    let_go(inner);
    collect_at(1040);
    assert_int_equal(server->referents.total, 2);
    collect_at(1071);
    assert_int_equal(server->referents.total, 1);
    end();
}

static void test_objects_in_each_other_go(void **state) {
    (void)state;
    begin();
    struct mp__managed *first = make(), *second = make();
    put_proxy(first, second);
    put_proxy(second, first);
    let_go(first);
    collect_at(1000);
    collect_at(1100);
    assert_int_equal(server->referents.total, 2);
    let_go(second);
    collect_at(2000);
    collect_at(2100);
    assert_int_equal(server->referents.total, 0);
    end();
}

static void test_an_owners_references_go_with_it(void **state) {
    (void)state;
    begin();
    struct mp__managed *list = make();
    struct mp__owner *owner = mp__owner_of_client(server, "1"), *other;
    other = mp__owner_of_client(server, "2");
    mp__owner_enter(owner);
    mp__owner_enter(other);
    assert_ptr_equal(mp__owner_of_client(server, "1"), owner);
    for (int i = 0; i < 3; i++)
        MPT_OK(mp__referent_incref(server, &list->referent, owner));
    MPT_OK(mp__referent_incref(server, &list->referent, other));
    MPT_OK(mp__referent_decref(server, &list->referent, owner));
    assert_int_equal(list->referent.count, 4);
    mp__owner_leave(server, owner);
    assert_int_equal(list->referent.count, 2);
    MPT_OK(mp__referent_decref(server, &list->referent, NULL));
    mp__owner_leave(server, other);
    sweep();
    assert_int_equal(server->referents.total, 0);
    end();
}

/* One that gives back what another one took. */
static void test_references_may_change_hands(void **state) {
    (void)state;
    begin();
    struct mp__managed *list = make();
    struct mp__owner *giver = mp__owner_of_client(server, "1");
    mp__owner_enter(giver);
    MPT_OK(mp__referent_decref(server, &list->referent, giver));
    MPT_CODE(mp__referent_decref(server, &list->referent, giver), MP_ESTATE);
    sweep();
    assert_int_equal(server->referents.total, 0);
    end();
}

static void test_many_objects_are_found(void **state) {
    (void)state;
    struct mp__managed *lists[1000];
    char ident[MP__IDENT_MAX];
    begin();
    for (int i = 0; i < 1000; i++)
        lists[i] = make();
    for (int i = 0; i < 1000; i++) {
        mp__referent_ident(&lists[i]->referent, ident);
        assert_ptr_equal(mp__referent_find(server, ident), lists[i]);
    }
    for (int i = 0; i < 1000; i += 2)
        let_go(lists[i]);
    assert_int_equal(server->referents.total, 500);
    end();
}

MPT_MAIN(MPT_CASE(test_the_last_reference_frees), MPT_CASE(test_idents_name_one_object),
         MPT_CASE(test_what_is_in_a_living_object_lives),
         MPT_CASE(test_what_is_in_nothing_goes_after_a_while),
         MPT_CASE(test_who_takes_it_out_in_time_keeps_it), MPT_CASE(test_objects_in_each_other_go),
         MPT_CASE(test_an_owners_references_go_with_it), MPT_CASE(test_references_may_change_hands),
         MPT_CASE(test_many_objects_are_found))
