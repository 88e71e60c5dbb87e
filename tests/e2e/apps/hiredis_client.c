/* hiredis, as an application in C or C++ uses it, in the protocol named by RESP. Prints "ok" when all
 * of it held. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext* Open(void) {
  const char* path = getenv("SOCKET");
  redisContext* context =
      path != NULL && *path != '\0' ? redisConnectUnix(path) : redisConnect("127.0.0.1", atoi(getenv("PORT")));
  if (context == NULL || context->err) {
    fprintf(stderr, "connect: %s\n", context == NULL ? "no memory" : context->errstr);
    exit(1);
  }
  return context;
}

/* Takes the reply: it must be of `type` and, unless `text` is NULL, be that text. */
static void Expect(void* taken, int type, const char* text, const char* what) {
  redisReply* reply = (redisReply*)taken;
  if (reply == NULL || reply->type != type || (text != NULL && strcmp(reply->str, text) != 0)) {
    fprintf(stderr, "%s: type %d, text %s\n", what, reply == NULL ? -1 : reply->type,
            reply == NULL || reply->str == NULL ? "(none)" : reply->str);
    exit(1);
  }
  freeReplyObject(reply);
}

static void ExpectInteger(void* taken, long long number, const char* what) {
  redisReply* reply = (redisReply*)taken;
  if (reply == NULL || reply->type != REDIS_REPLY_INTEGER || reply->integer != number) {
    fprintf(stderr, "%s: not %lld\n", what, number);
    exit(1);
  }
  freeReplyObject(reply);
}

int main(void) {
  redisContext* redis = Open();
  redisContext* other = Open();
  const int is_resp3 = strcmp(getenv("RESP"), "3") == 0;
  void* reply = NULL;
  if (is_resp3) {
    Expect(redisCommand(redis, "HELLO 3"), REDIS_REPLY_MAP, NULL, "HELLO");
    redisSetPushCallback(redis, NULL); /* pushes are wanted as replies, not thrown away */
  }
  for (int i = 0; i < 100; ++i) {
    char text[20];
    snprintf(text, sizeof text, "v%d", i);
    Expect(redisCommand(redis, "SET k %s", text), REDIS_REPLY_STATUS, "OK", "SET");
    Expect(redisCommand(redis, "GET k"), REDIS_REPLY_STRING, text, "GET");
    Expect(redisCommand(other, "GET k"), REDIS_REPLY_STRING, text, "GET of another's write");
  }
  Expect(redisCommand(redis, "GET nothing"), REDIS_REPLY_NIL, NULL, "GET of nothing");
  Expect(redisCommand(redis, "SET bin %b", "a\0b\r\n", (size_t)5), REDIS_REPLY_STATUS, "OK", "SET");
  for (int i = 0; i < 3; ++i) {
    redisReply* bytes = (redisReply*)redisCommand(redis, "GET bin");
    if (bytes == NULL || bytes->len != 5 || memcmp(bytes->str, "a\0b\r\n", 5) != 0) {
      fprintf(stderr, "bytes\n");
      return 1;
    }
    freeReplyObject(bytes);
  }
  for (int i = 0; i < 1000; ++i) {  /* a long pipeline, replies in order */
    redisAppendCommand(redis, "INCR n");
    redisAppendCommand(redis, "GET n");
  }
  for (int i = 1; i <= 1000; ++i) {
    char text[20];
    snprintf(text, sizeof text, "%d", i);
    redisGetReply(redis, &reply);
    ExpectInteger(reply, i, "pipelined INCR");
    redisGetReply(redis, &reply);
    Expect(reply, REDIS_REPLY_STRING, text, "pipelined GET");
  }
  ExpectInteger(redisCommand(redis, "HSET h a 1"), 1, "HSET");
  Expect(redisCommand(redis, "HGETALL h"), is_resp3 ? REDIS_REPLY_MAP : REDIS_REPLY_ARRAY, NULL, "HGETALL");
  ExpectInteger(redisCommand(redis, "ZADD z 1.5 m"), 1, "ZADD");
  Expect(redisCommand(redis, "ZSCORE z m"), is_resp3 ? REDIS_REPLY_DOUBLE : REDIS_REPLY_STRING, "1.5", "ZSCORE");
  Expect(redisCommand(redis, "WATCH n"), REDIS_REPLY_STATUS, "OK", "WATCH");
  ExpectInteger(redisCommand(other, "INCR n"), 1001, "INCR");
  Expect(redisCommand(redis, "MULTI"), REDIS_REPLY_STATUS, "OK", "MULTI");
  Expect(redisCommand(redis, "SET n 0"), REDIS_REPLY_STATUS, "QUEUED", "SET in MULTI");
  Expect(redisCommand(redis, "EXEC"), REDIS_REPLY_NIL, NULL, "EXEC of a watched key that changed");
  Expect(redisCommand(redis, "GET n"), REDIS_REPLY_STRING, "1001", "nothing of it ran");
  Expect(redisCommand(redis, "LPUSH k x"), REDIS_REPLY_ERROR, NULL, "LPUSH to a string");
  Expect(redisCommand(redis, "SUBSCRIBE news"), is_resp3 ? REDIS_REPLY_PUSH : REDIS_REPLY_ARRAY, NULL,
         "SUBSCRIBE");
  ExpectInteger(redisCommand(other, "PUBLISH news hello"), 1, "PUBLISH");
  redisGetReply(redis, &reply);
  Expect(reply, is_resp3 ? REDIS_REPLY_PUSH : REDIS_REPLY_ARRAY, NULL, "the message");
  Expect(redisCommand(redis, "UNSUBSCRIBE news"), is_resp3 ? REDIS_REPLY_PUSH : REDIS_REPLY_ARRAY, NULL,
         "UNSUBSCRIBE");
  Expect(redisCommand(redis, "GET n"), REDIS_REPLY_STRING, "1001", "an ordinary connection again");
  Expect(redisCommand(redis, "FLUSHALL"), REDIS_REPLY_STATUS, "OK", "FLUSHALL");
  Expect(redisCommand(other, "GET k"), REDIS_REPLY_NIL, NULL, "GET after FLUSHALL");
  redisFree(redis);
  redisFree(other);
  puts("ok");
  return 0;
}
