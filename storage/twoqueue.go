package storage

import (
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// entryCost is what the records of an entry take beside its value, in bytes.
const entryCost = 384

// twoQueue is the 2Q of golang-lru (Johnson and Shasha, "2Q: A Low Overhead High
// Performance Buffer Management Replacement Algorithm", VLDB 1994), bounded by
// bytes. The library's own counts entries and does not tell what it evicts, so
// this one is put together from the library's plain LRUs by the same rules: new
// entries may take a quarter of the room, what is asked for again moves to the
// frequent ones, and keys that fell out come back as frequent.
//
// Spaces share it: where one has more than half of the room, and others have some,
// what it has makes room first, by the same rules.
type twoQueue struct {
	mu      sync.Mutex
	max     int64
	all     queues
	spaces  map[string]*queues // the same entries, by Space
	greedy  string             // the Space that has more than half
	ghosts  *simplelru.LRU[cacheKey, struct{}]
	evicted int64
}

// queues are entries in the order in which they go.
type queues struct{ recent, often byteQueue }

type byteQueue struct {
	*simplelru.LRU[cacheKey, []byte]
	bytes int64
}

func newTwoQueue(maxBytes int64) *twoQueue {
	ghosts := max(64, min(maxBytes/8192, 1<<20))
	return &twoQueue{max: maxBytes, all: newQueues(), spaces: map[string]*queues{}, ghosts: newLRU[struct{}](int(ghosts))}
}

func newQueues() queues {
	return queues{byteQueue{LRU: newLRU[[]byte](math.MaxInt)}, byteQueue{LRU: newLRU[[]byte](math.MaxInt)}}
}

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

func (q *queues) bytes() int64 { return q.recent.bytes + q.often.bytes }

func (q *queues) drop(key cacheKey, value []byte) {
	q.recent.drop(key, value)
	q.often.drop(key, value)
}

// oldest returns what makes room first, and whether it is one of the recent.
func (q *queues) oldest(max int64) (key cacheKey, value []byte, recent bool) {
	if q.recent.bytes > max/4 || q.often.Len() == 0 {
		key, value, _ = q.recent.GetOldest()
		return key, value, true
	}
	key, value, _ = q.often.GetOldest()
	return key, value, false
}

func (q *twoQueue) get(key cacheKey) ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if value, ok := q.all.often.Get(key); ok {
		q.spaces[key.space].often.Get(key)
		return value, true
	}
	value, ok := q.all.recent.Peek(key)
	if ok {
		for _, queues := range []*queues{&q.all, q.spaces[key.space]} {
			queues.recent.drop(key, value)
			queues.often.add(key, value)
		}
	}
	return value, ok
}

// add keeps value unless it alone is more than the room. A key that is there
// keeps its first value.
func (q *twoQueue) add(key cacheKey, value []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if int64(len(value))+entryCost > q.max || q.all.recent.Contains(key) || q.all.often.Contains(key) {
		return
	}
	of := q.spaces[key.space]
	if of == nil {
		made := newQueues()
		of = &made
		q.spaces[key.space] = of
	}
	again := q.ghosts.Remove(key)
	for _, queues := range []*queues{&q.all, of} {
		if again {
			queues.often.add(key, value)
		} else {
			queues.recent.add(key, value)
		}
	}
	if of.bytes() > q.max/2 {
		q.greedy = key.space
	}
	for q.all.bytes() > q.max {
		q.evict()
	}
}

func (q *twoQueue) evict() {
	q.evicted++
	from := &q.all
	if of := q.spaces[q.greedy]; of != nil && of.bytes() > q.max/2 {
		from = of
	}
	key, value, recent := from.oldest(q.max)
	q.drop(key, value)
	if recent {
		q.ghosts.Add(key, struct{}{})
	}
}

func (q *twoQueue) drop(key cacheKey, value []byte) {
	q.all.drop(key, value)
	of := q.spaces[key.space]
	if of.drop(key, value); of.bytes() == 0 {
		delete(q.spaces, key.space)
	}
}

func (q *twoQueue) remove(key cacheKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, queue := range []*byteQueue{&q.all.recent, &q.all.often} {
		if value, ok := queue.Peek(key); ok {
			q.drop(key, value)
		}
	}
}

func (q *twoQueue) stats() CacheStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return CacheStats{
		Evicted: q.evicted,
		Entries: int64(q.all.recent.Len() + q.all.often.Len()),
		Bytes:   q.all.bytes(),
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
