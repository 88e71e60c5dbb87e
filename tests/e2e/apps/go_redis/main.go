// go-redis, as an application uses it. Prints "ok" when all of it held.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"gopkg.in/redis.v5"
)

func equal(got, expected interface{}, what string) {
	if !reflect.DeepEqual(got, expected) {
		fmt.Fprintf(os.Stderr, "%s: expected %v, got %v\n", what, expected, got)
		os.Exit(1)
	}
}

func main() {
	options := &redis.Options{Addr: "127.0.0.1:" + os.Getenv("PORT"), PoolSize: 20}
	if path := os.Getenv("SOCKET"); path != "" {
		options = &redis.Options{Network: "unix", Addr: path, PoolSize: 20}
	}
	client, other := redis.NewClient(options), redis.NewClient(options)
	equal(client.Ping().Val(), "PONG", "PING")
	for i := 0; i < 100; i++ {
		equal(client.Set("k", i, time.Hour).Err(), nil, "SET")
		equal(other.Get("k").Val(), fmt.Sprint(i), "GET of what another connection wrote")
	}
	equal(client.Get("nothing").Err(), redis.Nil, "GET of nothing")
	equal(client.MGet("k", "nothing").Val(), []interface{}{"99", nil}, "MGET")
	equal(client.HSet("h", "a", "1").Val(), true, "HSET")
	equal(client.HGetAll("h").Val(), map[string]string{"a": "1"}, "HGETALL")
	var count *redis.IntCmd
	_, err := client.Pipelined(func(pipe *redis.Pipeline) error {
		pipe.Set("p", 1, 0)
		count = pipe.Incr("p")
		return nil
	})
	equal(err, nil, "a pipeline")
	equal(count.Val(), int64(2), "a pipeline")
	err = client.Watch(func(tx *redis.Tx) error {
		other.Set("p", 7, 0)
		_, inner := tx.Pipelined(func(pipe *redis.Pipeline) error {
			pipe.Set("p", 8, 0)
			return nil
		})
		return inner
	}, "p")
	equal(err, redis.TxFailedErr, "EXEC of a watched key that changed")
	script := redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
	equal(script.Run(client, []string{"p"}, 3).Val(), int64(10), "EVALSHA, then EVAL")
	equal(client.Get("p").Val(), "10", "GET after the script")
	equal(strings.HasPrefix(client.LPush("k", "x").Err().Error(), "WRONGTYPE"), true, "WRONGTYPE")
	other.RPush("q", "job")
	equal(client.BLPop(5*time.Second, "q").Val(), []string{"q", "job"}, "BLPOP")
	pubsub, err := client.Subscribe("news")
	equal(err, nil, "SUBSCRIBE")
	for other.Publish("news", "hello").Val() == 0 {
		time.Sleep(time.Millisecond)
	}
	message, err := pubsub.ReceiveMessage()
	equal(err, nil, "the message")
	equal(message.Payload, "hello", "the message")
	pubsub.Close()
	var all sync.WaitGroup
	for worker := 0; worker < 20; worker++ {
		all.Add(1)
		go func(key string) {
			defer all.Done()
			for i := 0; i < 50; i++ {
				client.Set(key, i, 0)
				equal(client.Get(key).Val(), fmt.Sprint(i), "own writes")
			}
		}(fmt.Sprintf("own:%d", worker))
	}
	all.Wait()
	equal(client.FlushAll().Val(), "OK", "FLUSHALL")
	equal(client.Get("k").Err(), redis.Nil, "GET after FLUSHALL")
	fmt.Println("ok")
}
