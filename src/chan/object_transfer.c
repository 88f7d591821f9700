/* Objects over connections and through queues, as pickles.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/fail.h"
#include "codec/pickle.h"
#include "mp/connection.h"
#include "mp/queue.h"

int mp_connection_send(mp_connection *connection, const mp_object *object, double timeout) {
    struct mp__buffer buffer = {0};
    if (!object)
        return mp__fail(MP_EINVAL, "mp_connection_send: object is NULL");
    int code = mp__pickle_write(&buffer, object, MP_PICKLE_DEFAULT);
    if (code == 0)
        code = mp_connection_send_bytes(connection, buffer.data, buffer.size, timeout);
    mp__buffer_fini(&buffer);
    return code;
}

int mp_connection_recv(mp_connection *connection, mp_object **out, double timeout) {
    void *data;
    size_t size;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_connection_recv: out is NULL");
    int code = mp_connection_recv_bytes(connection, &data, &size, 0, timeout);
    if (code < 0)
        return code;
    code = mp_object_loads(out, data, size);
    free(data);
    return code;
}

int mp_queue_put_object(mp_queue *queue, const mp_object *object, double timeout) {
    struct mp__buffer buffer = {0};
    if (!object)
        return mp__fail(MP_EINVAL, "mp_queue_put_object: object is NULL");
    int code = mp__pickle_write(&buffer, object, MP_PICKLE_DEFAULT);
    if (code == 0)
        code = mp_queue_put(queue, buffer.data, buffer.size, timeout);
    mp__buffer_fini(&buffer);
    return code;
}

int mp_queue_get_object(mp_queue *queue, mp_object **out, double timeout) {
    mp_message *message;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_queue_get_object: out is NULL");
    int code = mp_queue_get_message(queue, &message, timeout);
    if (code < 0)
        return code;
    code = mp_object_loads(out, mp_message_data(message), mp_message_size(message));
    mp_message_free(message);
    return code;
}
