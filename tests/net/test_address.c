/* Addresses as text: what is read is written again.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <string.h>

#include "net/address.h"

static int read_one(const char *text, bool is_listener, struct mp__address *out) {
    struct mp__address list[MP__ADDRESS_COUNT_MAX];
    int count = mp__address_read(text, is_listener, list, MP__ADDRESS_COUNT_MAX, "test");
    if (count > 0)
        *out = list[0];
    return count;
}

static void expect_same(const char *text, const char *expected) {
    struct mp__address address;
    char got[MP__ADDRESS_TEXT_MAX];
    assert_true(read_one(text, true, &address) > 0);
    mp__address_write(&address, got, sizeof got);
    assert_string_equal(got, expected);
}

static void expect_refused(const char *text) {
    struct mp__address address;
    MPT_CODE(read_one(text, false, &address), MP_EINVAL);
}

static void test_addresses_come_back_as_they_were_written(void **state) {
    (void)state;
    expect_same("tcp://127.0.0.1:5000", "tcp://127.0.0.1:5000");
    expect_same("tcp://[::1]:5000", "tcp://[::1]:5000");
    expect_same("unix:/tmp/x", "unix:/tmp/x");
    expect_same("abstract:x", "abstract:x");
}

static void test_a_listener_without_host_is_for_all(void **state) {
    (void)state;
    expect_same("tcp://:5000", "tcp://0.0.0.0:5000");
    expect_refused("tcp://:5000");
}

static void test_a_name_stands_for_ipv4_first(void **state) {
    (void)state;
    expect_same("tcp://localhost:0", "tcp://127.0.0.1:0");
}

static void test_what_is_no_address_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "/tmp/x",
                                      "unix:",
                                      "abstract:",
                                      "tcp://",
                                      "tcp://host",
                                      "tcp://host:",
                                      "tcp://host:x",
                                      "tcp://host:-1",
                                      "tcp://host:65536",
                                      "tcp://host:80x",
                                      "tcp://::1:80",
                                      "tcp://[::1]",
                                      "udp://host:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_refused(bad[i]);
}

static void test_a_unix_path_may_have_107_bytes(void **state) {
    (void)state;
    char text[5 + 109] = "unix:";
    struct mp__address address;
    memset(text + 5, 'x', 107);
    assert_int_equal(read_one(text, true, &address), 1);
    assert_string_equal(mp__address_path(&address), text + 5);
    text[5 + 107] = 'x';
    expect_refused(text);
}

static void test_an_unknown_host_is_no_address(void **state) {
    (void)state;
    struct mp__address address;
    int code = read_one("tcp://no-such-host.invalid:80", false, &address);
    assert_true(code == -EADDRNOTAVAIL || code == -EAGAIN);
    assert_non_null(strstr(mp_error_detail(), "no-such-host.invalid"));
}

MPT_MAIN(MPT_CASE(test_addresses_come_back_as_they_were_written),
         MPT_CASE(test_a_listener_without_host_is_for_all),
         MPT_CASE(test_a_name_stands_for_ipv4_first), MPT_CASE(test_what_is_no_address_is_refused),
         MPT_CASE(test_a_unix_path_may_have_107_bytes),
         MPT_CASE(test_an_unknown_host_is_no_address))
