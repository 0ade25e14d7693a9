#include "crdkafka.h"

#include <stdlib.h>
#include <string.h>

struct crdk_batch {
    size_t remaining;
    crdk_outcome outcome;
    crdk_batch_done done;
    void *context;
    // `remaining` is counted down by the thread that drains the queue and by the one that hands records over.
    char lock;
};

static void batch_lock(crdk_batch *batch) {
    while (__atomic_test_and_set(&batch->lock, __ATOMIC_ACQUIRE)) {
    }
}

static void batch_unlock(crdk_batch *batch) { __atomic_clear(&batch->lock, __ATOMIC_RELEASE); }

crdk_batch *crdk_batch_new(size_t count, crdk_batch_done done, void *context) {
    crdk_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->remaining = count;
    batch->outcome.count = count;
    batch->outcome.partition = -1;
    batch->outcome.first_offset = -1;
    batch->outcome.last_offset = -1;
    batch->done = done;
    batch->context = context;
    return batch;
}

static void batch_settled(crdk_batch *batch, size_t remaining) {
    if (remaining > 0) return;
    batch->done(batch->context, &batch->outcome);
    free(batch);
}

void crdk_batch_fail(crdk_batch *batch, size_t count, rd_kafka_resp_err_t error) {
    batch_lock(batch);
    if (!batch->outcome.error) batch->outcome.error = error;
    batch->outcome.failed += count;
    size_t remaining = batch->remaining -= count;
    batch_unlock(batch);
    batch_settled(batch, remaining);
}

static void batch_report(crdk_batch *batch, const rd_kafka_message_t *message) {
    batch_lock(batch);
    crdk_outcome *outcome = &batch->outcome;
    if (message->err) {
        if (!outcome->error) outcome->error = message->err;
        outcome->failed += 1;
    } else {
        if (outcome->partition == -1) {
            outcome->partition = message->partition;
            outcome->first_offset = outcome->last_offset = message->offset;
        } else if (outcome->partition != message->partition) {
            outcome->partition = -2;
        }
        if (message->offset < outcome->first_offset) outcome->first_offset = message->offset;
        if (message->offset > outcome->last_offset) outcome->last_offset = message->offset;
    }
    size_t remaining = --batch->remaining;
    batch_unlock(batch);
    batch_settled(batch, remaining);
}

static rd_kafka_headers_t *headers_new(const uint8_t *bytes, int32_t count) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new((size_t)count);
    for (int32_t i = 0; headers && i < count; i++) {
        int32_t lengths[2];
        memcpy(lengths, bytes, sizeof lengths);
        bytes += sizeof lengths;
        const char *name = (const char *)bytes;
        const void *value = lengths[1] < 0 ? NULL : bytes + lengths[0];
        rd_kafka_header_add(headers, name, lengths[0], value, lengths[1] < 0 ? 0 : lengths[1]);
        bytes += lengths[0] + (lengths[1] < 0 ? 0 : lengths[1]);
    }
    return headers;
}

static rd_kafka_resp_err_t produce_full(
    crdk_target target, const uint8_t *bytes, const crdk_record *record, crdk_batch *batch) {
    size_t key_length = record->key_length < 0 ? 0 : (size_t)record->key_length;
    size_t value_length = record->value_length < 0 ? 0 : (size_t)record->value_length;
    rd_kafka_headers_t *headers = NULL;
    if (record->header_count > 0) {
        headers = headers_new(bytes + key_length + value_length, record->header_count);
        if (!headers) return RD_KAFKA_RESP_ERR__QUEUE_FULL;
    }
    rd_kafka_vu_t arguments[7] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = target.topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = target.partition},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {.ptr = record->key_length < 0 ? NULL : (void *)bytes, .size = key_length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {.ptr = record->value_length < 0 ? NULL : (void *)(bytes + key_length), .size = value_length}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = batch},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(target.client, arguments, headers ? 7 : 6);
    if (!error) return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    if (headers) rd_kafka_headers_destroy(headers);
    return code;
}

static rd_kafka_resp_err_t produce_bare(
    crdk_target target, const uint8_t *bytes, const crdk_record *record, crdk_batch *batch) {
    const void *key = record->key_length < 0 ? NULL : bytes;
    size_t key_length = key ? (size_t)record->key_length : 0;
    void *value = record->value_length < 0 ? NULL : (void *)(bytes + key_length);
    size_t value_length = value ? (size_t)record->value_length : 0;
    if (rd_kafka_produce(target.topic, target.partition, 0, value, value_length, key, key_length, batch) == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_last_error();
}

size_t crdk_produce(
    crdk_target target, const uint8_t *arena, const crdk_record *records, size_t from, size_t count,
    crdk_batch *batch, rd_kafka_resp_err_t *stopped_by) {
    *stopped_by = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t i = from;
    for (; i < count; i++) {
        const crdk_record *record = &records[i];
        const uint8_t *bytes = arena + record->offset;
        int is_bare = record->header_count == 0 && record->timestamp_ms == 0;
        *stopped_by = is_bare ? produce_bare(target, bytes, record, batch)
                              : produce_full(target, bytes, record, batch);
        if (*stopped_by) break;
    }
    return i;
}

size_t crdk_drain(rd_kafka_queue_t *queue, size_t records_max, int timeout_ms) {
    size_t settled = 0;
    rd_kafka_event_t *event;
    while (settled < records_max && (event = rd_kafka_queue_poll(queue, timeout_ms))) {
        timeout_ms = 0;
        const rd_kafka_message_t *message;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            while ((message = rd_kafka_event_message_next(event))) {
                if (message->_private) batch_report(message->_private, message);
                settled += 1;
            }
        }
        rd_kafka_event_destroy(event);
    }
    return settled;
}

size_t crdk_partition_messages(rd_kafka_message_t **messages, size_t count) {
    size_t first_error = 0;
    while (first_error < count && !messages[first_error]->err) first_error++;
    size_t records = first_error;
    for (size_t i = first_error + 1; i < count; i++) {
        rd_kafka_message_t *message = messages[i];
        if (message->err) continue;
        memmove(&messages[records + 1], &messages[records], (i - records) * sizeof *messages);
        messages[records++] = message;
    }
    return records;
}

void crdk_messages_destroy(rd_kafka_message_t **messages, size_t count) {
    for (size_t i = 0; i < count; i++) rd_kafka_message_destroy(messages[i]);
}

void crdk_list_add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t offset) {
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
}

void crdk_mock_fail_requests(
    rd_kafka_mock_cluster_t *cluster, int16_t api_key, size_t count, rd_kafka_resp_err_t error) {
    // The function for one error takes a variable argument list, which Swift cannot call.
    for (size_t i = 0; i < count; i++) rd_kafka_mock_push_request_errors(cluster, api_key, 1, error);
}
