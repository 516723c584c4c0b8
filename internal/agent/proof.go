package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/plan"
)

// A certificate counts as programmed once a client of the agent's own was shown it: HAProxy's word that it has a file in
// memory says neither that a name leads to it nor that it is HAProxy who answers at the address.

const (
	// mostProofs bounds the handshakes of one pass: of more certificates that change at once, as when HAProxy starts,
	// as many are asked for that are chosen at random, and of the others it is enough that they were read back. A handshake
	// takes HAProxy about half a millisecond.
	mostProofs = 128
	// proofsAtOnce is how many handshakes are under way at one time, and proofsBeside how many of those that have not
	// lasted for proofSlow yet: who proves a hundred certificates must not push the clients aside that come meanwhile.
	proofsAtOnce = 8
	// A quick one is followed by a pause, proofRest times as long as it took.
	proofsBeside = 1
	proofRest    = 3
	proofSlow    = 50 * time.Millisecond
	// proofPatience is how long it is tried to be shown a certificate, and one handshake may take.
	proofPatience = 3 * time.Second
	// proofsAwaited is how long a pass waits for its handshakes before it tells how it went. They go on beside.
	proofsAwaited = 50 * time.Millisecond
	// proofsTold is how often it is told how far the proofs are while some are under way.
	proofsTold = 250 * time.Millisecond
	// proofRetry is when what could not be proven is tried again.
	proofRetry = 10 * time.Second
)

// prover knows which certificates were seen to be shown. Its methods are for the engine's goroutine.
type prover struct {
	// stamps tell by file what is to be shown, by which names, where; certs and lists are what they were worked out of.
	stamps map[string]uint64
	certs  []haproxy.Cert
	lists  []haproxy.CrtList
	seed   maphash.Seed

	retry  time.Duration
	proven map[string]uint64 // stamps
	flying map[string]uint64
	failed map[string]unproven
	named  map[string]string // the certificate in a file
	// untold says that something is known of which nobody was told, and told is when somebody was last.
	untold bool
	told   time.Time

	mu   sync.Mutex
	done []proof
	wake chan struct{}
}

// unproven is a certificate that a client is not shown.
type unproven struct {
	stamp uint64
	why   error
	since time.Time
}

// proof is how it went with a certificate.
type proof struct {
	path  string
	stamp uint64
	err   error
}

func newProver() *prover {
	return &prover{
		seed: maphash.MakeSeed(), retry: proofRetry, proven: map[string]uint64{}, flying: map[string]uint64{}, failed: map[string]unproven{}, named: map[string]string{},
		wake: make(chan struct{}, 1),
	}
}

// forget lets everything be proven anew: another process serves.
func (p *prover) forget() {
	clear(p.proven)
	p.certs, p.lists = nil, nil
}

// touched lets the certificates be proven anew that operations were about.
func (p *prover) touched(ops []plan.Op) {
	for _, op := range ops {
		path := ""
		switch op.Kind {
		case plan.SetCert:
			path = op.Path
		case plan.AddCrt, plan.DelCrt:
			path = op.File
		}
		if _, ok := p.proven[path]; ok {
			delete(p.proven, path)
			p.certs, p.lists = nil, nil
		}
	}
}

// changed gives the files of the certificates that are shown and of which it is not known that a client sees them.
func (p *prover) changed(want *haproxy.Config) []string {
	if !sameList(p.certs, want.Certs) || !sameList(p.lists, want.CrtLists) || p.stamps == nil {
		p.certs, p.lists = want.Certs, want.CrtLists
		p.stamp()
	} else if len(p.failed) == 0 {
		return nil
	}
	var list []string
	for path, stamp := range p.stamps {
		if was, ok := p.proven[path]; ok && was == stamp {
			continue
		}
		if was, ok := p.flying[path]; !ok || was != stamp {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return list
}

func (p *prover) stamp() {
	own := make(map[string]string, len(p.certs))
	clear(p.named)
	for i := range p.certs {
		if c := &p.certs[i]; !c.Authority {
			own[c.Path], p.named[c.Path] = c.Digest, c.Certificate
		}
	}
	p.stamps = map[string]uint64{}
	var h maphash.Hash
	h.SetSeed(p.seed)
	for i := range p.lists {
		for j := range p.lists[i].Entries {
			e := &p.lists[i].Entries[j]
			digest, ok := own[e.File]
			if !ok {
				continue
			}
			h.Reset()
			for _, part := range append([]string{digest, p.lists[i].Path, e.Options}, e.SNI...) {
				_, _ = h.WriteString(part)
				_ = h.WriteByte(0)
			}
			p.stamps[e.File] = p.stamps[e.File]*31 + h.Sum64()
		}
	}
	for _, kept := range []map[string]uint64{p.proven, p.flying} {
		for path := range kept {
			if _, ok := p.stamps[path]; !ok {
				delete(kept, path)
			}
		}
	}
	for path, f := range p.failed {
		if p.stamps[path] != f.stamp {
			delete(p.failed, path)
		}
	}
}

// pick gives those of the changed files that are to be asked for; of the others it is enough that they were read back.
func (p *prover) pick(want *haproxy.Config) []string {
	list := p.changed(want)
	if len(list) <= mostProofs {
		return list
	}
	order := make(map[string]float64, len(list))
	for _, path := range list {
		if _, failed := p.failed[path]; !failed { // those come first
			order[path] = rand.Float64()
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	for _, path := range list[mostProofs:] {
		p.proven[path] = p.stamps[path]
		delete(p.failed, path)
	}
	return list[:mostProofs]
}

// prove begins to look whether what is to be shown now is shown.
func (e *engine) prove(ctx context.Context, node *ir.Node, want *haproxy.Config) {
	if e.process == nil {
		return
	}
	p := e.prover
	list := p.pick(want)
	if len(list) == 0 {
		return
	}
	files := map[string]bool{}
	for _, path := range list {
		files[path] = true
	}
	asks := map[string][]hapctl.Handshake{}
	for _, s := range haproxy.Showings(node, want, e.env, files) {
		name := s.Names[rand.IntN(len(s.Names))]
		asks[s.Path] = append(asks[s.Path], hapctl.Handshake{
			At: s.At[rand.IntN(len(s.At))], Namespace: node.Self.Namespace, Name: name, Chain: s.Chain, Others: s.Rivals[name], Modern: s.Modern,
			Proxied: node.Group.ProxyProtocol, Patience: proofPatience,
		})
	}
	turns := newTurns()
	for _, path := range list {
		stamp := p.stamps[path]
		if len(asks[path]) == 0 {
			p.proven[path] = stamp // nobody on this machine can ask for it
			continue
		}
		p.flying[path] = stamp
		go func() {
			done := turns.take()
			err := proveAll(ctx, asks[path])
			done()
			p.tell(proof{path, stamp, err})
		}()
	}
}

// turns are those of proofs that are made side by side.
type turns struct{ all, quick chan struct{} }

func newTurns() turns {
	return turns{make(chan struct{}, proofsAtOnce), make(chan struct{}, proofsBeside)}
}

// take waits for a turn; what it gives ends it.
func (t turns) take() (done func()) {
	t.all <- struct{}{}
	t.quick <- struct{}{}
	began, slow := time.Now(), time.AfterFunc(proofSlow, func() { <-t.quick })
	return func() {
		if slow.Stop() {
			time.AfterFunc(proofRest*time.Since(began), func() { <-t.quick })
		}
		<-t.all
	}
}

// proveAll is done when a certificate is shown wherever it was asked for. HAProxy may be busy, or about to be another
// process: so it is tried for a while.
func proveAll(ctx context.Context, asks []hapctl.Handshake) error {
	ctx, cancel := context.WithTimeout(ctx, proofPatience)
	defer cancel()
	var last error
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		for len(asks) > 0 {
			err := asks[0].Prove(ctx)
			if err != nil && !errors.Is(err, hapctl.ErrUnprovable) {
				if ctx.Err() == nil || last == nil {
					last = err
				}
				break
			}
			asks = asks[1:]
		}
		if len(asks) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(wait):
		}
	}
}

func (p *prover) tell(one proof) {
	p.mu.Lock()
	p.done = append(p.done, one)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// proofs takes over how it went with certificates, after a while if some are still asked for; it says whether anything is
// known that was not known before.
func (e *engine) proofs(ctx context.Context, while time.Duration) bool {
	p := e.prover
	news := false
	end := time.NewTimer(while)
	defer end.Stop()
	for {
		p.mu.Lock()
		done := p.done
		p.done = nil
		p.mu.Unlock()
		for _, one := range done {
			news = e.proofOf(one) || news
		}
		if len(p.flying) == 0 || while == 0 {
			return news
		}
		select {
		case <-p.wake:
		case <-end.C:
			return news
		case <-ctx.Done():
			return news
		}
	}
}

// tellNow says whether how it went with certificates is to be told now: at the end of all proofs, and not too often before,
// since what a hundred proofs lead to is a hundred reports.
func (p *prover) tellNow(news bool, now time.Time) bool {
	p.untold = p.untold || news
	if !p.untold || len(p.flying) > 0 && now.Sub(p.told) < proofsTold {
		return false
	}
	p.untold, p.told = false, now
	return true
}

func (e *engine) proofOf(one proof) bool {
	p := e.prover
	if p.flying[one.path] == one.stamp {
		delete(p.flying, one.path)
	}
	if now, ok := p.stamps[one.path]; !ok || now != one.stamp {
		return false // another form of it is to be shown by now
	}
	was, failed := p.failed[one.path]
	if one.err == nil {
		p.proven[one.path] = one.stamp
		delete(p.failed, one.path)
		if failed {
			e.log.Info("the certificate is shown now", "certificate", p.named[one.path])
		}
		return true
	}
	if failed && was.why.Error() == one.err.Error() {
		return false
	}
	if !failed {
		was.since = e.clock()
	}
	p.failed[one.path] = unproven{one.stamp, one.err, was.since}
	e.log.Warn("a certificate that HAProxy has is not shown", "certificate", p.named[one.path], "error", one.err)
	return true
}

// unshown gives what is known of certificates that no client was seen to be shown, by resource.
func (p *prover) unshown() map[string]link.Deviation {
	list := map[string]link.Deviation{}
	for path := range p.flying {
		list["certificate/"+p.named[path]] = link.Deviation{State: link.Pending, Reason: link.NotProven, Message: "HAProxy has it; a handshake that shows it is awaited"}
	}
	for path, f := range p.failed {
		list["certificate/"+p.named[path]] = link.Deviation{State: link.Pending, Reason: link.NotServed, Message: fmt.Sprintf("HAProxy has it, but %v", f.why), Since: f.since}
	}
	return list
}
