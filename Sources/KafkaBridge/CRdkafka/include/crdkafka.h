// The part of the Kafka bridge that is quicker or only possible in C: loops over whole batches.
#ifndef CRDKAFKA_H
#define CRDKAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stddef.h>
#include <stdint.h>

/// One record inside a batch's arena. The bytes lie at `offset`: key, value, headers, without gaps.
///
/// A header is a 4-byte name length, a 4-byte value length (-1 is null), the name and the value, in host order.
typedef struct {
    size_t offset;
    int32_t key_length;    // -1 is null
    int32_t value_length;  // -1 is null
    int32_t header_count;
    int64_t timestamp_ms;  // 0: now
} crdk_record;

/// What became of a batch when its last record was acknowledged or refused.
typedef struct {
    rd_kafka_resp_err_t error;  // the first error, or none
    size_t count;
    size_t failed;
    int32_t partition;  // -1: no record was stored; -2: stored in several partitions
    int64_t first_offset;
    int64_t last_offset;
} crdk_outcome;

typedef struct {
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    int32_t partition;  // RD_KAFKA_PARTITION_UA: by key
    size_t record_bytes_max;  // librdkafka's message.max.bytes
} crdk_target;

typedef struct crdk_batch crdk_batch;
typedef void (*crdk_batch_done)(void *context, const crdk_outcome *outcome);

/// Makes the shared acknowledgement of `count` records; it frees itself after it called `done` once.
crdk_batch *crdk_batch_new(size_t count, crdk_batch_done done, void *context);

/// Settles the `count` records that librdkafka never took.
void crdk_batch_fail(crdk_batch *batch, size_t count, rd_kafka_resp_err_t error);

/// Hands records `from ..< count` to librdkafka without copying values; the arena must stay until the batch is done.
///
/// @param stopped_by why it stopped before the end: `_QUEUE_FULL` or a final refusal.
/// @returns the index of the first record that was not taken; `count` when all were.
size_t crdk_produce(
    crdk_target target, const uint8_t *arena, const crdk_record *records, size_t from, size_t count,
    crdk_batch *batch, rd_kafka_resp_err_t *stopped_by);

/// Takes an event that is no delivery report: statistics, an error. It is gone afterwards.
typedef void (*crdk_other_event)(void *context, rd_kafka_event_t *event);

/// Serves what waits on a producer's main queue: delivery reports itself, all else by `other`.
///
/// librdkafka calls no statistics or error callback for a queue that is polled for events.
///
/// @param records_max stops after about this many records (a report is not split).
/// @param timeout_ms how long to wait for the first event.
/// @returns how many records were acknowledged or refused; less than `records_max` when the queue is empty.
size_t crdk_drain(
    rd_kafka_queue_t *queue, size_t records_max, int timeout_ms, crdk_other_event other, void *context);

/// Sorts messages so that records come first and errors last, both in their order; returns the number of records.
size_t crdk_partition_messages(rd_kafka_message_t **messages, size_t count);

void crdk_messages_destroy(rd_kafka_message_t **messages, size_t count);

/// Adds a partition with its offset to a list.
void crdk_list_add(rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t offset);

/// Takes up to `messages_max` messages that are there now, among them those that tell errors and ends.
size_t crdk_consume(rd_kafka_queue_t *queue, rd_kafka_message_t **messages, size_t messages_max);

/// Lets a consumer rest between fetches that a broker answers at once although there is nothing to read.
///
/// A broker is meant to hold such an answer back for `fetch.wait.max.ms`; one that does not is asked thousands
/// of times a second. An answer that came at once, is small and exactly as long as the one before it holds
/// nothing, most likely: the broker's thread sleeps before it goes on, an eighth longer each time, until an answer
/// differs. So a record is late by about an eighth of the time that nothing came, until the longest rest is
/// reached. If records do come in answers of one length, each is late by one rest.
///
/// librdkafka asks interceptors not to block. This one does, on purpose and for milliseconds: the thread that
/// fetches is the one that is to rest, and its other requests are late by no more than that.
typedef struct crdk_brake crdk_brake;

/// @param held_back_us a fetch that took at least this long was held back by the broker: no rest.
/// @param rest_max_us the longest rest, in microseconds; the first is a sixteenth of it.
crdk_brake *crdk_brake_new(int64_t held_back_us, int64_t rest_max_us);

/// Not before the client is destroyed that it was installed for.
void crdk_brake_free(crdk_brake *brake);

/// Adds the brake to a client that is not made yet.
rd_kafka_resp_err_t crdk_brake_install(crdk_brake *brake, rd_kafka_conf_t *configuration);

/// For tests: how often fetching rested.
uint64_t crdk_brake_rests(const crdk_brake *brake);

/// What follows an answer to a fetch; on the thread of its broker.
///
/// @returns how long to rest in microseconds; 0 is not at all.
int64_t crdk_brake_answered(crdk_brake *brake, int32_t broker, size_t length, int64_t took_us);

/// For tests: lets the next `count` requests of one kind fail at librdkafka's own mock cluster.
void crdk_mock_fail_requests(
    rd_kafka_mock_cluster_t *cluster, int16_t api_key, size_t count, rd_kafka_resp_err_t error);

#endif
