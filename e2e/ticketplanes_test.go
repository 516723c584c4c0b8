package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// rotations are the generations of ticket keys that control planes have told of, and since when each encrypts.
type rotations map[int64]time.Time

// hear asks control planes; those that are there must say the same of a generation.
func (r rotations) hear(t *testing.T, planes ...*growing) (newest int64, err error) {
	t.Helper()
	answered := 0
	for _, p := range planes {
		s, failed := p.ticketKeys()
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		answered++
		if since, known := r[s.Generation]; known && !since.Equal(s.Since) {
			t.Errorf("generation %d is there twice: since %s and since %s", s.Generation, since, s.Since)
		}
		r[s.Generation], newest = s.Since, max(newest, s.Generation)
	}
	if answered > 0 {
		err = nil
	}
	return newest, err
}

// TestTicketKeysOfTwoControlPlanes: keys change while two control planes drive them by turns, and while either of them
// dies; all along clients go on with their sessions on the other load balancer, and no key comes before its time.
func TestTicketKeysOfTwoControlPlanes(t *testing.T) {
	t.Parallel()
	const every = 3 * time.Second
	one := newGrowing(nil, t, 1)
	one.memory, one.etcd = weirtest.MemoryDir(t), weirtest.StartEtcd(t, 1)
	one.start()
	two := newGrowing(one, t, 2)
	two.memory = one.memory
	two.start()
	one.urls, two.urls = []string{one.url, two.url}, []string{two.url, one.url}
	ca := one.ticketSite()
	all := weirtest.HAProxies(t)
	_, atA := one.joinShifted("lb-a", all[0], 16)
	_, atB := two.joinShifted("lb-b", all[len(all)-1], 32)
	one.served(ca, atA, atB)
	one.shares(2, 1)
	two.rotateEvery(every.String())
	clients := []*returning{one.returning(ca.pool(), tls.VersionTLS12), one.returning(ca.pool(), tls.VersionTLS13)}
	for _, c := range clients {
		c.lasts = every
		if _, err := c.visit(atA); err != nil {
			t.Fatal(err)
		}
	}
	seen := rotations{}
	goesOn := func(when string, n int64, planes ...*growing) {
		t.Helper()
		first, err := seen.hear(t, planes...)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clients {
			c.resumed = 0
		}
		weirtest.Eventually(t, waitLong, func() error {
			for _, c := range clients {
				if c.resumes(when, atB, atA); c.resumed < 4 {
					return fmt.Errorf("%s: %s went on with its session %d times: that shows little", when, tls.VersionName(c.version), c.resumed)
				}
			}
			if newest, err := seen.hear(t, planes...); err != nil || newest < first+n {
				return errors.Join(errors.New(when), err)
			}
			return nil
		})
	}
	goesOn("with two control planes", 1, one, two)
	one.process.Kill()
	goesOn("without the first", 2, two)
	one.start()
	one.shares(2, 1)
	two.process.Kill()
	goesOn("without the second", 2, one)
	for generation, since := range seen {
		if before, known := seen[generation-1]; known && since.Sub(before) < every {
			t.Errorf("generation %d came %s after the one before, not %s", generation, since.Sub(before), every)
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d generations were seen: that shows little", len(seen))
	}
}
