package storage

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// entryCost is what the record of an entry takes beside its value, in bytes.
const entryCost = 256

// twoQueue is the 2Q of golang-lru (Johnson and Shasha, "2Q: A Low Overhead High
// Performance Buffer Management Replacement Algorithm", VLDB 1994), bounded by
// bytes. The library's own counts entries and does not tell what it evicts, so
// this one is put together from the library's plain LRUs by the same rules: new
// entries may take a quarter of the room, what is asked for again moves to the
// frequent ones, and keys that fell out come back as frequent.
type twoQueue struct {
	mu      sync.Mutex
	max     int64
	recent  byteQueue
	often   byteQueue
	ghosts  *simplelru.LRU[cacheKey, struct{}]
	evicted int64
}

type byteQueue struct {
	*simplelru.LRU[cacheKey, []byte]
	bytes int64
}

func newTwoQueue(maxBytes int64) *twoQueue {
	ghosts := max(64, min(maxBytes/8192, 1<<20))
	return &twoQueue{max: maxBytes, recent: newByteQueue(), often: newByteQueue(), ghosts: newLRU[struct{}](int(ghosts))}
}

func newByteQueue() byteQueue { return byteQueue{LRU: newLRU[[]byte](math.MaxInt)} }

func newLRU[V any](entries int) *simplelru.LRU[cacheKey, V] {
	l, err := simplelru.NewLRU[cacheKey, V](entries, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return l
}

func (q *byteQueue) add(key cacheKey, value []byte) {
	q.Add(key, value)
	q.bytes += int64(len(value)) + entryCost
}

func (q *byteQueue) drop(key cacheKey, value []byte) {
	if q.Remove(key) {
		q.bytes -= int64(len(value)) + entryCost
	}
}

func (q *twoQueue) get(key cacheKey) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if value, ok := q.often.Get(key); ok {
		return value, true
	}
	value, ok := q.recent.Peek(key)
	if ok {
		q.recent.drop(key, value)
		q.often.add(key, value)
	}
	return value, ok
}

// add keeps value unless it alone is more than the room. A key that is there
// keeps its first value.
func (q *twoQueue) add(key cacheKey, value []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if int64(len(value))+entryCost > q.max || q.recent.Contains(key) || q.often.Contains(key) {
		return
	}
	if q.ghosts.Remove(key) {
		q.often.add(key, value)
	} else {
		q.recent.add(key, value)
	}
	for q.recent.bytes+q.often.bytes > q.max {
		q.evict()
	}
}

func (q *twoQueue) evict() {
	q.evicted++
	if q.recent.bytes > q.max/4 || q.often.Len() == 0 {
		key, value, _ := q.recent.GetOldest()
		q.recent.drop(key, value)
		q.ghosts.Add(key, struct{}{})
		return
	}
	key, value, _ := q.often.GetOldest()
	q.often.drop(key, value)
}

func (q *twoQueue) remove(key cacheKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, queue := range []*byteQueue{&q.recent, &q.often} {
		if value, ok := queue.Peek(key); ok {
			queue.drop(key, value)
		}
	}
}

func (q *twoQueue) stats() CacheStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return CacheStats{
		Evicted: q.evicted,
		Entries: int64(q.recent.Len() + q.often.Len()),
		Bytes:   q.recent.bytes + q.often.bytes,
	}
}

// largeOnes remembers which objects are too large for the cache, so that they
// are opened once and not twice.
type largeOnes struct {
	mu   sync.Mutex
	keys *simplelru.LRU[cacheKey, struct{}]
}

func newLargeOnes() *largeOnes { return &largeOnes{keys: newLRU[struct{}](4096)} }

func (l *largeOnes) has(key cacheKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.keys.Get(key)
	return ok
}

func (l *largeOnes) add(key cacheKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys.Add(key, struct{}{})
}
