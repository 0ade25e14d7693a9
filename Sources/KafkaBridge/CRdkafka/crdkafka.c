#include "crdkafka.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

size_t crdk_consume(rd_kafka_queue_t *queue, rd_kafka_message_t **messages, size_t messages_max) {
    // One by one: from 2.1 on librdkafka's batches count the end of a partition as a record, so that its own position is
    // one too far, and when it pauses the partition (as at each cooperative rebalance) it skips the next record.
    size_t count = 0;
    while (count < messages_max && (messages[count] = rd_kafka_consume_queue(queue, 0))) count++;
    return count;
}

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

static void outcome_reset(crdk_outcome *outcome) {
    memset(outcome, 0, sizeof *outcome);
    outcome->partition = -1;
    outcome->first_offset = outcome->last_offset = -1;
}

crdk_batch *crdk_batch_new(size_t count, crdk_batch_done done, void *context) {
    crdk_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->remaining = count;
    outcome_reset(&batch->outcome);
    batch->outcome.count = count;
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

/// What several records in a row of one batch add to its outcome; saves a lock and its cache line for each of them.
typedef struct {
    crdk_batch *batch;
    size_t count;
    crdk_outcome outcome;
} batch_share;

static void outcome_add(crdk_outcome *into, const crdk_outcome *more) {
    if (!into->error) into->error = more->error;
    into->failed += more->failed;
    if (more->partition == -1) return;
    if (into->partition == -1) {
        into->partition = more->partition;
        into->first_offset = more->first_offset;
        into->last_offset = more->last_offset;
        return;
    }
    if (into->partition != more->partition) into->partition = -2;
    if (more->first_offset < into->first_offset) into->first_offset = more->first_offset;
    if (more->last_offset > into->last_offset) into->last_offset = more->last_offset;
}

static void share_settle(batch_share *share) {
    if (!share->batch) return;
    crdk_batch *batch = share->batch;
    batch_lock(batch);
    outcome_add(&batch->outcome, &share->outcome);
    size_t remaining = batch->remaining -= share->count;
    batch_unlock(batch);
    batch_settled(batch, remaining);
    share->batch = NULL;
}

static void share_add(batch_share *share, const rd_kafka_message_t *message) {
    if (share->batch != message->_private) {
        share_settle(share);
        share->batch = message->_private;
        share->count = 0;
        outcome_reset(&share->outcome);
    }
    crdk_outcome one = {
        .error = message->err,
        .failed = message->err ? 1 : 0,
        .partition = message->err ? -1 : message->partition,
        .first_offset = message->offset,
        .last_offset = message->offset,
    };
    outcome_add(&share->outcome, &one);
    share->count += 1;
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

static rd_kafka_resp_err_t produce_one(
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

// librdkafka adds less than this to a record when it judges its size.
enum { RECORD_OVERHEAD_MAX = 512, RUN_MAX = 256 };

/// Whether a record can go with its neighbours: `rd_kafka_produce_batch` knows neither headers nor times, and
/// would send the records after one that is too large.
static int is_plain(crdk_target target, const crdk_record *record) {
    size_t length = (record->key_length < 0 ? 0 : (size_t)record->key_length) +
                    (record->value_length < 0 ? 0 : (size_t)record->value_length);
    return record->header_count == 0 && record->timestamp_ms == 0 &&
           length + RECORD_OVERHEAD_MAX <= target.record_bytes_max;
}

/// Hands over up to `RUN_MAX` plain records: one look at the clock and at the partition for all of them.
///
/// @returns how many were taken; fewer than `count` only with a reason, and then none after the first refusal.
static size_t produce_run(
    crdk_target target, const uint8_t *arena, const crdk_record *records, size_t count, crdk_batch *batch,
    rd_kafka_resp_err_t *stopped_by) {
    rd_kafka_message_t messages[RUN_MAX];
    for (size_t i = 0; i < count; i++) {
        const crdk_record *record = &records[i];
        const uint8_t *bytes = arena + record->offset;
        rd_kafka_message_t *message = &messages[i];
        memset(message, 0, sizeof *message);
        message->key = record->key_length < 0 ? NULL : (void *)bytes;
        message->key_len = message->key ? (size_t)record->key_length : 0;
        message->payload = record->value_length < 0 ? NULL : (void *)(bytes + message->key_len);
        message->len = message->payload ? (size_t)record->value_length : 0;
        message->_private = batch;
    }
    size_t taken = (size_t)rd_kafka_produce_batch(target.topic, target.partition, 0, messages, (int)count);
    if (taken < count) *stopped_by = messages[taken].err;
    return taken;
}

size_t crdk_produce(
    crdk_target target, const uint8_t *arena, const crdk_record *records, size_t from, size_t count,
    crdk_batch *batch, rd_kafka_resp_err_t *stopped_by) {
    *stopped_by = RD_KAFKA_RESP_ERR_NO_ERROR;
    size_t i = from;
    while (i < count) {
        size_t run = 0;
        // By key, every record has a partition of its own, so there is nothing to look up once.
        while (target.partition != RD_KAFKA_PARTITION_UA && run < RUN_MAX && i + run < count &&
               is_plain(target, &records[i + run]))
            run++;
        if (run > 0) {
            i += produce_run(target, arena, &records[i], run, batch, stopped_by);
        } else {
            *stopped_by = produce_one(target, arena + records[i].offset, &records[i], batch);
            if (!*stopped_by) i++;
        }
        if (*stopped_by) break;
    }
    return i;
}

size_t crdk_drain(
    rd_kafka_queue_t *queue, size_t records_max, int timeout_ms, crdk_other_event other, void *context) {
    size_t settled = 0;
    rd_kafka_event_t *event;
    while (settled < records_max && (event = rd_kafka_queue_poll(queue, timeout_ms))) {
        timeout_ms = 0;
        const rd_kafka_message_t *message;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            batch_share share = {0};
            while ((message = rd_kafka_event_message_next(event))) {
                if (message->_private) share_add(&share, message);
                settled += 1;
            }
            share_settle(&share);
        } else {
            other(context, event);
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

// Brokers beyond so many share their memory of the last answer; no cluster that answers at once has as many.
enum { BRAKE_BROKERS = 16, EMPTY_ANSWER_MAX = 256 * 1024, FETCH_API_KEY = 1 };

struct crdk_brake {
    int64_t held_back_us;
    int64_t rest_min_us;
    int64_t rest_max_us;
    uint64_t rests;
    struct {
        size_t length;
        int64_t next_rest_us;
    } last[BRAKE_BROKERS];
};

crdk_brake *crdk_brake_new(int64_t held_back_us, int64_t rest_max_us) {
    crdk_brake *brake = calloc(1, sizeof *brake);
    if (!brake) return NULL;
    brake->held_back_us = held_back_us;
    brake->rest_min_us = rest_max_us / 16;
    brake->rest_max_us = rest_max_us;
    return brake;
}

void crdk_brake_free(crdk_brake *brake) { free(brake); }

uint64_t crdk_brake_rests(const crdk_brake *brake) { return __atomic_load_n(&brake->rests, __ATOMIC_RELAXED); }

int64_t crdk_brake_answered(crdk_brake *brake, int32_t broker, size_t length, int64_t took_us) {
    size_t *last = &brake->last[(uint32_t)broker % BRAKE_BROKERS].length;
    int64_t *next_rest = &brake->last[(uint32_t)broker % BRAKE_BROKERS].next_rest_us;
    size_t previous = __atomic_exchange_n(last, length, __ATOMIC_RELAXED);
    if (length != previous || length > EMPTY_ANSWER_MAX || took_us >= brake->held_back_us) {
        __atomic_store_n(next_rest, brake->rest_min_us, __ATOMIC_RELAXED);
        return 0;
    }
    int64_t rest = __atomic_load_n(next_rest, __ATOMIC_RELAXED);
    int64_t grown = rest + rest / 8;
    int64_t longer = grown < brake->rest_max_us ? grown : brake->rest_max_us;
    __atomic_store_n(next_rest, longer, __ATOMIC_RELAXED);
    return rest;
}

static rd_kafka_resp_err_t brake_on_response(
    rd_kafka_t *client, int socket, const char *broker_name, int32_t broker, int16_t api_key, int16_t api_version,
    int32_t correlation, size_t length, int64_t round_trip_us, rd_kafka_resp_err_t error, void *context) {
    if (api_key != FETCH_API_KEY || error) return RD_KAFKA_RESP_ERR_NO_ERROR;
    crdk_brake *brake = context;
    int64_t rest = crdk_brake_answered(brake, broker, length, round_trip_us);
    if (rest > 0) {
        __atomic_add_fetch(&brake->rests, 1, __ATOMIC_RELAXED);
        struct timespec time = {.tv_sec = rest / 1000000, .tv_nsec = rest % 1000000 * 1000};
        nanosleep(&time, NULL);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t brake_on_new(
    rd_kafka_t *client, const rd_kafka_conf_t *configuration, void *context, char *reason, size_t reason_size) {
    return rd_kafka_interceptor_add_on_response_received(client, "idle-brake", brake_on_response, context);
}

rd_kafka_resp_err_t crdk_brake_install(crdk_brake *brake, rd_kafka_conf_t *configuration) {
    return rd_kafka_conf_interceptor_add_on_new(configuration, "idle-brake", brake_on_new, brake);
}

void crdk_mock_fail_requests(
    rd_kafka_mock_cluster_t *cluster, int16_t api_key, size_t count, rd_kafka_resp_err_t error) {
    // The function for one error takes a variable argument list, which Swift cannot call.
    for (size_t i = 0; i < count; i++) rd_kafka_mock_push_request_errors(cluster, api_key, 1, error);
}
