package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// A server that etcd does not answer says so, and no longer once it does again.
func TestSilenceIsKnown(t *testing.T) {
	t.Parallel()
	e := weirtest.StartEtcd(t, 1)
	s := onCluster(t, e, func(o *Options) { o.AskEvery = 500 * time.Millisecond })
	if d := s.Silence(); d != 0 {
		t.Errorf("silent for %s at its beginning", d)
	}
	e.Members()[0].Kill()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if s.Silence() == 0 {
			return errors.New("nothing is said of etcd's silence")
		}
		return nil
	})
	e.Members()[0].Start()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if d := s.Silence(); d > 0 {
			return fmt.Errorf("silent for %s", d)
		}
		return nil
	})
}
