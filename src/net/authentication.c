/* The proof that both ends know a key, as CPython's multiprocessing.connection has it.
 * SPDX-License-Identifier: MIT
 *
 *     deliver                                    answer
 *     "#CHALLENGE#" M                        ->
 *                                            <-  R := HMAC(key, M), see below
 *     "#WELCOME#" or "#FAILURE#"             ->
 *
 * M is "{sha256}" and 40 random bytes, from CPython up to 3.11 just 20. R is "{sha256}" and the
 * HMAC over all of M; without a name in front it is the HMAC of MD5, and CPython up to 3.11 answers
 * nothing else, whatever M says. */
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "mp/listener.h"
#include "net/digest.h"
#include "os/clock.h"
#include "os/random.h"

enum { MESSAGE_MAX = 256, RANDOM_BYTES = 40, RAW_BYTES = 20, PREFIX_MAX = 8 };

static const char challenge_word[] = "#CHALLENGE#";
static const char welcome_word[] = "#WELCOME#";
static const char failure_word[] = "#FAILURE#";
enum { CHALLENGE_BYTES = sizeof challenge_word - 1, WELCOME_BYTES = sizeof welcome_word - 1 };

static const struct form {
    const char *prefix; /* what stands before the digest */
    enum mp__digest_kind kind;
} forms[] = {{"", MP__DIGEST_MD5}, {"{md5}", MP__DIGEST_MD5}, {"{sha256}", MP__DIGEST_SHA256}};

/* Which digest a challenge or an answer names. Those of 16 and 20 bytes name none, whatever they
 * begin with. NULL: one that we do not know. */
static const struct form *find_form(const uint8_t *bytes, size_t size) {
    if (size == 16 || size == RAW_BYTES)
        return &forms[0];
    for (size_t i = 1; i < sizeof forms / sizeof forms[0]; i++) {
        size_t length = strlen(forms[i].prefix);
        if (size >= length && memcmp(bytes, forms[i].prefix, length) == 0)
            return &forms[i];
    }
    return NULL;
}

struct exchange {
    mp_connection *connection;
    const void *key;
    size_t key_size;
    mp__time deadline; /* of the whole */
    const char *name;  /* of the public function */
};

static int begin_exchange(struct exchange *exchange, double timeout) {
    if (!exchange->key && exchange->key_size > 0)
        return mp__fail(MP_EINVAL, "%s: key is NULL, but size is %zu", exchange->name,
                        exchange->key_size);
    if (!mp_connection_readable(exchange->connection) ||
        !mp_connection_writable(exchange->connection))
        return mp__fail(MP_EINVAL, "%s: needs a connection that sends and receives",
                        exchange->name);
    return mp__deadline(&exchange->deadline, timeout);
}

static double time_left(const struct exchange *exchange) {
    if (exchange->deadline == MP__NEVER)
        return MP_FOREVER;
    mp__time left = exchange->deadline > 0 ? exchange->deadline - mp__now() : 0;
    return left > 0 ? (double)left / (double)MP__SECOND : MP_NOWAIT;
}

static int tell(const struct exchange *exchange, const void *data, size_t size) {
    return mp_connection_send_bytes(exchange->connection, data, size, time_left(exchange));
}

/* A message of at most MESSAGE_MAX bytes: its size. */
static int hear(const struct exchange *exchange, uint8_t *buffer) {
    size_t size;
    int code = mp_connection_recv_bytes_into(exchange->connection, buffer, MESSAGE_MAX, &size,
                                             time_left(exchange));
    if (code == MP_ETOOSHORT)
        return mp__fail(MP_EAUTH, "%s: a message of %zu bytes came, where at most %d are expected",
                        exchange->name, size, MESSAGE_MAX);
    return code < 0 ? code : (int)size;
}

static bool is_right(const struct exchange *exchange, const uint8_t *message, size_t size,
                     const uint8_t *answer, size_t answer_size) {
    const struct form *form = find_form(answer, answer_size);
    if (!form)
        return false;
    size_t prefix = strlen(form->prefix), length = mp__digest_size(form->kind);
    uint8_t expected[MP__DIGEST_MAX];
    mp__digest_hmac(form->kind, exchange->key, exchange->key_size, message, size, expected);
    return answer_size == prefix + length && mp__digest_equal(answer + prefix, expected, length);
}

static int deliver(struct exchange *exchange, double timeout) {
    uint8_t answer[MESSAGE_MAX], challenge[CHALLENGE_BYTES + PREFIX_MAX + RANDOM_BYTES];
    int code = begin_exchange(exchange, timeout);
    if (code < 0)
        return code;
    memcpy(challenge, challenge_word, CHALLENGE_BYTES);
    uint8_t *message = challenge + CHALLENGE_BYTES;
    memcpy(message, "{sha256}", PREFIX_MAX);
    code = mp__random_bytes(message + PREFIX_MAX, RANDOM_BYTES);
    if (code < 0)
        return mp__fail(code, "%s: no random bytes", exchange->name);
    code = tell(exchange, challenge, sizeof challenge);
    if (code == 0)
        code = hear(exchange, answer);
    if (code < 0)
        return code;
    if (is_right(exchange, message, PREFIX_MAX + RANDOM_BYTES, answer, (size_t)code))
        return tell(exchange, welcome_word, WELCOME_BYTES);
    (void)tell(exchange, failure_word, sizeof failure_word - 1);
    return mp__fail(MP_EAUTH, "%s: the other end's proof is wrong: it has another key",
                    exchange->name);
}

static int log_outcome(int code, const char *proof) {
    if (code == 0)
        mp__log_held(MP_LOG_DEBUG, "%s was accepted", proof);
    else
        mp__log_held(MP_LOG_DEBUG, "%s was not accepted: %s", proof, mp_error_detail());
    return code;
}

int mp_connection_deliver_challenge(mp_connection *connection, const void *key, size_t size,
                                    double timeout) {
    struct exchange exchange = {connection, key, size, 0, "mp_connection_deliver_challenge"};
    return log_outcome(deliver(&exchange, timeout), "the other end's proof of the key");
}

/* The answer to M: how many bytes; MP_EAUTH. */
static int make_answer(const struct exchange *exchange, const uint8_t *message, size_t size,
                       uint8_t *answer) {
    if (size < RAW_BYTES)
        return mp__fail(MP_EAUTH, "%s: a challenge of %zu bytes is too short", exchange->name,
                        size);
    const struct form *form = find_form(message, size);
    if (!form)
        return mp__fail(MP_EAUTH, "%s: the challenge asks for a digest other than MD5 and SHA-256",
                        exchange->name);
    size_t prefix = strlen(form->prefix);
    memcpy(answer, form->prefix, prefix);
    mp__digest_hmac(form->kind, exchange->key, exchange->key_size, message, size, answer + prefix);
    return (int)(prefix + mp__digest_size(form->kind));
}

static int answer(struct exchange *exchange, double timeout) {
    uint8_t heard[MESSAGE_MAX], proof[PREFIX_MAX + MP__DIGEST_MAX];
    int code = begin_exchange(exchange, timeout);
    if (code == 0)
        code = hear(exchange, heard);
    if (code < 0)
        return code;
    if (code < CHALLENGE_BYTES || memcmp(heard, challenge_word, CHALLENGE_BYTES) != 0)
        return mp__fail(MP_EAUTH, "%s: the other end sends no challenge: it wants no key",
                        exchange->name);
    code = make_answer(exchange, heard + CHALLENGE_BYTES, (size_t)code - CHALLENGE_BYTES, proof);
    if (code > 0)
        code = tell(exchange, proof, (size_t)code);
    if (code == 0)
        code = hear(exchange, heard);
    if (code < 0)
        return code;
    if (code == WELCOME_BYTES && memcmp(heard, welcome_word, WELCOME_BYTES) == 0)
        return 0;
    return mp__fail(MP_EAUTH, "%s: our proof was refused: the other end has another key",
                    exchange->name);
}

int mp_connection_answer_challenge(mp_connection *connection, const void *key, size_t size,
                                   double timeout) {
    struct exchange exchange = {connection, key, size, 0, "mp_connection_answer_challenge"};
    return log_outcome(answer(&exchange, timeout), "our proof of the key");
}
