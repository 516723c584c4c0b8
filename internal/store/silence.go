package store

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// askEvery is how often a store makes sure that etcd answers, with a majority of its members.
const askEvery = 3 * time.Second

// silence knows when etcd answered last. A server goes on to tell what it has in memory while etcd is away, which is as it
// should be; but who reads it is to know that others may have written since.
type silence struct {
	mu   sync.Mutex
	last time.Time
}

func (s *silence) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
}

// Silence is for how long etcd has not answered, 0 while it does.
func (s *Store) Silence() time.Duration {
	s.silence.mu.Lock()
	defer s.silence.mu.Unlock()
	if d := time.Since(s.silence.last); d > 4*s.opts.AskEvery {
		return d
	}
	return 0
}

func (s *Store) askLoop() {
	for s.pause(s.opts.AskEvery) {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.AskEvery)
		_, err := s.client.Get(ctx, keyHead, clientv3.WithCountOnly())
		cancel()
		if err == nil {
			s.silence.end()
		}
	}
}
