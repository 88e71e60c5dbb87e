// redigo, as an application uses it. Prints "ok" when all of it held.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"

	"github.com/gomodule/redigo/redis"
)

func equal(got, expected interface{}, what string) {
	if !reflect.DeepEqual(got, expected) {
		fmt.Fprintf(os.Stderr, "%s: expected %v, got %v\n", what, expected, got)
		os.Exit(1)
	}
}

func must(reply interface{}, err error) interface{} {
	equal(err, nil, "error")
	return reply
}

func dial() (redis.Conn, error) {
	if path := os.Getenv("SOCKET"); path != "" {
		return redis.Dial("unix", path)
	}
	return redis.Dial("tcp", "127.0.0.1:"+os.Getenv("PORT"), redis.DialClientName("redigo-smoke"), redis.DialDatabase(0))
}

func main() {
	pool := &redis.Pool{Dial: dial, MaxIdle: 10, MaxActive: 20, Wait: true}
	conn, other := pool.Get(), pool.Get()
	for i := 0; i < 100; i++ {
		must(conn.Do("SET", "k", i))
		value, err := redis.Int(other.Do("GET", "k"))
		equal(err, nil, "GET")
		equal(value, i, "GET of what another connection wrote")
	}
	_, err := redis.String(conn.Do("GET", "nothing"))
	equal(err, redis.ErrNil, "GET of nothing")
	values, _ := redis.Strings(conn.Do("MGET", "k", "k"))
	equal(values, []string{"99", "99"}, "MGET")
	must(conn.Do("HSET", "h", "a", 1))
	fields, _ := redis.StringMap(conn.Do("HGETALL", "h"))
	equal(fields, map[string]string{"a": "1"}, "HGETALL")

	conn.Send("SET", "p", 1)
	conn.Send("INCR", "p")
	conn.Send("GET", "p")
	conn.Flush()
	equal(must(conn.Receive()), "OK", "a pipeline")
	equal(must(conn.Receive()), int64(2), "a pipeline")
	equal(must(conn.Receive()), []byte("2"), "a pipeline")

	must(conn.Do("WATCH", "p"))
	must(other.Do("SET", "p", 7))
	conn.Send("MULTI")
	conn.Send("SET", "p", 8)
	equal(must(conn.Do("EXEC")), nil, "EXEC of a watched key that changed")
	script := redis.NewScript(1, "return redis.call('INCRBY', KEYS[1], ARGV[1])")
	equal(must(script.Do(conn, "p", 3)), int64(10), "EVALSHA, then EVAL")
	equal(must(script.Do(conn, "p", 3)), int64(13), "EVALSHA")
	_, err = conn.Do("LPUSH", "k", "x")
	equal(err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"), true, "WRONGTYPE")

	must(other.Do("RPUSH", "q", "job"))
	popped, _ := redis.Strings(conn.Do("BLPOP", "q", 5))
	equal(popped, []string{"q", "job"}, "BLPOP")
	subscriber := redis.PubSubConn{Conn: pool.Get()}
	equal(subscriber.Subscribe("news"), nil, "SUBSCRIBE")
	equal(subscriber.Receive().(redis.Subscription).Kind, "subscribe", "SUBSCRIBE")
	must(other.Do("PUBLISH", "news", "hello"))
	equal(string(subscriber.Receive().(redis.Message).Data), "hello", "the message")
	equal(subscriber.Unsubscribe(), nil, "UNSUBSCRIBE")
	subscriber.Close() // the pool sends its own ECHO after it, and waits for that reply

	var all sync.WaitGroup
	for worker := 0; worker < 20; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			for i := 0; i < 50; i++ {
				mine := pool.Get()
				key := fmt.Sprintf("own:%d", worker)
				must(mine.Do("SET", key, i))
				value, _ := redis.Int(mine.Do("GET", key))
				equal(value, i, "own writes")
				mine.Close()
			}
		}(worker)
		if worker == 0 {
			conn.Close()
			other.Close()
		}
	}
	all.Wait()
	last := pool.Get()
	must(last.Do("FLUSHALL"))
	equal(must(last.Do("GET", "k")), nil, "GET after FLUSHALL")
	fmt.Println("ok")
}
