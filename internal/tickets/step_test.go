package tickets

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// The first of a group makes the secret, and hands it on to those who come.
func TestTheFirstMakesTheSecret(t *testing.T) {
	t.Parallel()
	b := newBed(t, 20)
	a, m, z := b.me("a"), b.me("m"), b.me("z")
	s, tasks := b.step(State{Group: group}, z.member(0), m.member(0))
	if len(tasks) != 1 || !tasks[0].Make || tasks[0].By != "m" || len(tasks[0].For) != 2 || s.Generation() != 0 {
		t.Fatalf("%+v", tasks)
	}
	s = b.work(s, z, m)
	if s.Generation() != 2 || len(s.Epochs) != 1 || s.Seeds[0].Epoch != 1 {
		t.Errorf("generation %d, %d epochs", s.Generation(), len(s.Epochs))
	}
	// Who has it hands it on, not who is first by name.
	s, tasks = b.step(s, a.member(0), m.member(2), z.member(2))
	if len(tasks) != 1 || tasks[0].Make || tasks[0].By != "m" || len(tasks[0].For) != 1 || tasks[0].For[0].Name != "a" {
		t.Fatalf("%+v", tasks)
	}
	if tasks := s.Brief(z.member(2), tasks).Tasks; len(tasks) != 0 {
		t.Errorf("z is asked, too: %+v", tasks)
	}
	// One that is away is not asked, the next one is.
	away := m.member(2)
	away.Able = false
	if _, tasks = b.step(s, a.member(0), away, z.member(2)); len(tasks) != 1 || tasks[0].By != "z" {
		t.Errorf("%+v", tasks)
	}
	s = b.work(s, a, m, z)
	if b.keys(a, s).Digests() != b.keys(z, s).Digests() {
		t.Error("the last to come has other keys")
	}
}

func TestRotationWaitsForItsTimeAndForThosePresent(t *testing.T) {
	t.Parallel()
	b := newBed(t, 21)
	a, z := b.me("a"), b.me("z")
	s := b.work(State{Group: group}, a, z)
	began := b.now
	if !s.Next(settings).Equal(began.Add(settings.Every)) {
		t.Errorf("next at %s", s.Next(settings))
	}
	at := func(after time.Duration, want int64, members ...Member) {
		t.Helper()
		b.now = began.Add(after)
		if got, _ := b.step(s, members...); got.Generation() != want {
			t.Errorf("after %s: generation %d, want %d", after, got.Generation(), want)
		}
	}
	gone := z.member(1)
	gone.Present, gone.Able = false, false
	at(settings.Every-1, 2, a.member(2), z.member(2))
	at(settings.Every, 3, a.member(2), z.member(2))
	at(settings.Every, 2, a.member(2), z.member(1))
	at(settings.Every, 3, a.member(2), gone)
	at(settings.Every+settings.Hold-1, 2, a.member(2), z.member(0))
	at(settings.Every+settings.Hold, 3, a.member(2), z.member(0))
	if names := s.Lagging([]Member{z.member(1), a.member(2), gone}); !slices.Equal(names, []string{"z"}) {
		t.Errorf("lagging: %q", names)
	}
	// A clock that was years ahead costs one period.
	s.Rotated = began.AddDate(3, 0, 0)
	b.now = began
	s, _ = b.step(s, a.member(2), z.member(2))
	at(settings.Every, 3, a.member(2), z.member(2))
}

// Who was waited for and is two behind keeps nobody else's keys in use any longer, unless it is heard of: then it is
// catching up. A new secret is begun to be used without it, too.
func TestOneThatDiedIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t, 29)
	a, m, z := b.me("a"), b.me("m"), b.me("z")
	s := b.work(State{Group: group}, a, m, z)
	dead := func(generation int64) Member {
		d := z.member(generation)
		d.Able, d.Silent = false, true
		return d
	}
	after := func(d time.Duration, others ...Member) (State, int64) {
		t.Helper()
		b.now = s.Rotated.Add(d)
		next, _ := b.step(s, append(others, a.member(s.Generation()))...)
		return next, next.Generation() - s.Generation()
	}
	s, _ = after(settings.Every, dead(2), m.member(2))
	if _, n := after(settings.Every+settings.Hold-1, dead(2), m.member(3)); s.Generation() != 3 || n != 0 {
		t.Errorf("generation %d; %d more while one is one behind", s.Generation(), n)
	}
	s, _ = after(settings.Every+settings.Hold, dead(2), m.member(3))
	if _, n := after(settings.Every-1, dead(2), m.member(4)); s.Generation() != 4 || n != 0 {
		t.Errorf("generation %d; %d more before its time", s.Generation(), n)
	}
	if _, n := after(settings.Every, z.member(2), m.member(4)); n != 0 {
		t.Error("one that is heard of is not waited for")
	}
	unknown := dead(0)
	if _, n := after(settings.Every, unknown, m.member(4)); n != 0 {
		t.Error("one that may have any keys is not waited for")
	}
	// m is removed, and z is not there to be handed the new secret.
	s = b.work(s, a)
	s, n := after(settings.Every, dead(2))
	if n != 1 || s.newest().Number == 1 || s.Seeds[2].Epoch != s.newest().Number {
		t.Errorf("%d more without the one that died; seeds are of secret %d, not %d", n, s.Seeds[2].Epoch, s.newest().Number)
	}
}

// A seed is there for three generations: as the next, the current and the previous one.
func TestASeedIsDestroyedAfterThreeGenerations(t *testing.T) {
	t.Parallel()
	b := newBed(t, 22)
	a := b.me("a")
	s := b.work(State{Group: group}, a)
	next := encode(s.Seeds[2].bytes.view())
	for n := range 4 {
		text, err := s.Encode()
		b.must(err)
		if got := strings.Contains(string(text), next); got != (n < 3) {
			t.Errorf("after %d rotations: there %t", n, got)
		}
		s = b.rotate(s, a)
	}
}

// Who is removed knows nothing of what is drawn from then on, and tickets of before are good for as long as always.
func TestRemovingOneBeginsANewSecret(t *testing.T) {
	t.Parallel()
	b := newBed(t, 23)
	a, m, z := b.me("a"), b.me("m"), b.me("z")
	s := b.work(State{Group: group}, a, m, z)
	known := b.opened(a, s)
	before := b.keys(m, s)
	s = b.work(s, m, z)
	if len(s.Epochs) != 2 || s.newest().Number != 2 || s.Generation() != 2 {
		t.Fatalf("%d epochs, generation %d", len(s.Epochs), s.Generation())
	}
	if len(s.Brief(a.member(0), nil).Given) == 2 {
		t.Error("the one removed is handed the new secret")
	}
	if b.keys(z, s).Digests() != before.Digests() {
		t.Error("keys changed before their time")
	}
	for n := range 3 {
		s = b.rotate(s, m, z)
		have := b.keys(z, s).Digests()
		if got := slices.Contains(have[:], before[1].Digest()); got != (n == 0) {
			t.Errorf("a ticket of before, %d rotations later: decrypted %t", n+1, got)
		}
		if s.Seeds[2].Epoch != 2 {
			t.Errorf("a seed that was drawn afterwards is of epoch %d", s.Seeds[2].Epoch)
		}
	}
	if len(s.Epochs) != 1 {
		t.Errorf("%d epochs are kept", len(s.Epochs))
	}
	if _, err := Derive(group, known, s.Seeds); err == nil {
		t.Error("the one removed derives keys")
	}
}

// Hurried, all keys that the removed one could know are gone as soon as the others follow, not hours later.
func TestRemovingOneInAHurry(t *testing.T) {
	t.Parallel()
	b := newBed(t, 24)
	a, m, z := b.me("a"), b.me("m"), b.me("z")
	s := b.work(State{Group: group}, a, m, z)
	before := b.keys(a, s).Digests()
	s = s.Hurried()
	if same, _ := b.step(s, m.member(2), z.member(2)); same.Generation() != 2 {
		t.Fatal("rotates with the secret that the removed one knows")
	}
	s = b.work(s, m, z)
	for range 3 {
		if same, _ := b.step(s, m.member(s.Generation()), z.member(s.Generation()-1)); same.Generation() != s.Generation() {
			t.Error("does not wait for those who follow")
		}
		s, _ = b.step(s, m.member(s.Generation()), z.member(s.Generation()))
	}
	have := b.keys(z, s).Digests()
	for _, d := range before {
		if slices.Contains(have[:], d) {
			t.Error("a key of before is still there")
		}
	}
	if s.Hurry != 0 || s.Seeds[0].Epoch != 2 {
		t.Errorf("hurry %d, epoch %d", s.Hurry, s.Seeds[0].Epoch)
	}
	if later, _ := b.step(s, m.member(s.Generation()), z.member(s.Generation())); later.Generation() != s.Generation() {
		t.Error("goes on in a hurry")
	}
}

// One that joins anew under its old name has another key: what the machine of before knows counts no more.
func TestReplacingOneBeginsANewSecret(t *testing.T) {
	t.Parallel()
	b := newBed(t, 25)
	a, z := b.me("a"), b.me("z")
	s := b.work(State{Group: group}, a, z)
	// Not known yet with which key it returns: nothing is concluded from that.
	away := Member{Name: "z"}
	if s, tasks := b.step(s, a.member(2), away); len(tasks) != 0 || len(s.Epochs) != 1 {
		t.Errorf("%+v", tasks)
	}
	if s = b.work(s, a, b.me("z")); len(s.Epochs) != 2 {
		t.Errorf("%d epochs", len(s.Epochs))
	}
}

// When nobody is there who has the secret, the others begin anew, all at once; who comes back later follows them.
func TestNobodyIsLeftWhoHasTheSecret(t *testing.T) {
	t.Parallel()
	b := newBed(t, 26)
	a, y, z := b.me("a"), b.me("y"), b.me("z")
	s := b.work(State{Group: group}, a)
	gone := a.member(2)
	gone.Able = false
	same, tasks := b.step(s, gone, y.member(0), z.member(0))
	if len(tasks) != 0 {
		t.Fatalf("not waited for the one that is away: %+v", tasks)
	}
	gone.Present = false
	s, tasks = b.step(same, gone, y.member(0), z.member(0))
	if len(tasks) != 1 || !tasks[0].Make || tasks[0].By != "y" || tasks[0].Epoch != 2 {
		t.Fatalf("%+v", tasks)
	}
	o, err := y.Do(tasks[0], nil, b.now, b.random)
	b.must(err)
	members := []Member{gone, y.member(0), z.member(0)}
	s, err = s.Accept(o, "y", members)
	b.must(err)
	s, _ = b.step(s, members...)
	if s.Generation() != 5 || s.Seeds[0].Epoch != 2 || b.keys(y, s).Digests() != b.keys(z, s).Digests() {
		t.Errorf("generation %d of epoch %d", s.Generation(), s.Seeds[0].Epoch)
	}
	had := b.keys(a, same).Digests()
	s = b.work(s, a, y, z)
	if push, ahead := Pushes(had, b.keys(a, s)); len(push) != 3 || ahead {
		t.Errorf("the one that comes back needs %d pushes", len(push))
	}
}

// A rotation whose newest secret has not reached everybody goes on with the one before, for one period.
func TestASecretIsUsedWhenAllPresentHaveIt(t *testing.T) {
	t.Parallel()
	b := newBed(t, 27)
	a, m, z := b.me("a"), b.me("m"), b.me("z")
	s := b.work(State{Group: group}, a, m, z)
	s = b.work(s, m) // z is away, a removed
	if s.newest().Number != 2 {
		t.Fatalf("epoch %d", s.newest().Number)
	}
	mute := z.member(2) // z is back, and m does not get to wrap it
	b.now = b.now.Add(settings.Every)
	next, _ := b.step(s, m.member(2), mute)
	if next.Generation() != 3 || next.Seeds[2].Epoch != 1 {
		t.Errorf("generation %d of epoch %d", next.Generation(), next.Seeds[2].Epoch)
	}
	b.now = b.now.Add(settings.Hold)
	if late, _ := b.step(s, m.member(2), mute); late.Seeds[2].Epoch != 2 {
		t.Error("the old secret is used for good")
	}
}

func TestOffersThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t, 28)
	a, z, stranger := b.me("a"), b.me("z"), b.me("x")
	members := []Member{a.member(0), z.member(0)}
	s, tasks := b.step(State{Group: group}, members...)
	good, err := a.Do(tasks[0], nil, b.now, b.random)
	b.must(err)
	refused := func(why string, edit func(*Offer), from string) {
		t.Helper()
		o := good
		o.Envelopes = slices.Clone(good.Envelopes)
		edit(&o)
		if next, err := s.Accept(o, from, members); err == nil || len(next.Epochs) != len(s.Epochs) {
			t.Errorf("taken: %s", why)
		}
	}
	refused("of another member", func(*Offer) {}, "z")
	refused("of nobody", func(*Offer) {}, "x")
	refused("another certificate", func(o *Offer) { o.Certificate = stranger.Certificate.Raw }, "a")
	refused("no certificate", func(o *Offer) { o.Certificate = nil }, "a")
	refused("another check", func(o *Offer) { o.Check = "other" }, "a")
	refused("an epoch that nobody asks for", func(o *Offer) { o.Epoch = 2 }, "a")
	refused("a changed envelope", func(o *Offer) { o.Envelopes[1].Sealed = flipped(o.Envelopes[1].Sealed) }, "a")
	refused("none for itself", func(o *Offer) { o.Envelopes = o.Envelopes[1:] }, "a")
	s, err = s.Accept(good, "a", members)
	b.must(err)
	// Again: nothing changes.
	again, err := s.Accept(good, "a", members)
	if err != nil || len(again.newest().Envelopes) != 2 || len(again.newest().Senders) != 1 {
		t.Errorf("again: %v", err)
	}
	other, err := z.Do(Task{Epoch: 1, Make: true, For: tasks[0].For}, nil, b.now, b.random)
	b.must(err)
	if _, err := s.Accept(other, "z", members); !errors.Is(err, ErrTooLate) {
		t.Errorf("a second secret of the epoch: %v", err)
	}
	outside, err := stranger.Do(Task{Epoch: 1, Check: s.newest().Check, For: tasks[0].For}, b.opened(a, s), b.now, b.random)
	b.must(err)
	if _, err := s.Accept(outside, "x", members); err == nil {
		t.Error("taken: of one that is no member")
	}
	// Who has got an envelope keeps it.
	more, err := z.Do(Task{Epoch: 1, Check: s.newest().Check, For: tasks[0].For}, b.opened(z, s), b.now, b.random)
	b.must(err)
	if s, err = s.Accept(more, "z", members); err != nil || s.newest().Envelopes[1].From != "a" {
		t.Errorf("an envelope was replaced: %v", err)
	}
	// One that was removed meanwhile is left out, or the group would begin anew for it.
	more, err = a.Do(Task{Epoch: 1, Check: s.newest().Check, For: []Recipient{{"x", stranger.Certificate.Raw}}}, b.opened(a, s), b.now, b.random)
	b.must(err)
	if s, err = s.Accept(more, "a", members); err != nil || len(s.newest().Envelopes) != 2 {
		t.Errorf("%d envelopes, %v", len(s.newest().Envelopes), err)
	}
}
