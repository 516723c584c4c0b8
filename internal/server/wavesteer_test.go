package server

import (
	"fmt"
	"slices"
	"testing"

	"weir/internal/api"
	"weir/internal/weirtest"
)

// TestGoRightAfterBack: who was sent back and has not said that it is there is believed nothing that it said before. It
// is no canary of the wave that begins next, and comes in with the others once it is heard.
func TestGoRightAfterBack(t *testing.T) {
	t.Parallel()
	f := startFakeFleet(t)
	f.apply(fakeObjects + fakeSite("first.example.com"))
	f.join("a1", "az1", "3.4.7")
	f.join("a3", "az1", "3.4.7")
	f.join("b1", "az2", "3.4.7")
	f.patience("1m")
	f.ready(3)
	steer := func(action string) {
		t.Helper()
		f.call("POST", "/api/v1/loadbalancergroups/edge/waves?action="+action+"&reason=test", "", nil)
	}
	late := func(name string, is bool) {
		for _, a := range f.agents {
			if a.name == name {
				a.mu.Lock()
				a.late = is
				a.mu.Unlock()
			}
		}
	}
	f.apply(fakeSite("new.example.com"))
	f.waves(func(s api.WaveStatus) bool { return s.State == "going" && s.Has == 1 })
	late("a1", true)
	steer("back")
	f.waves(func(s api.WaveStatus) bool { return s.State == "halted" })
	steer("go")
	s := f.waves(func(s api.WaveStatus) bool { return s.State == "going" })
	if !slices.Equal(s.Canaries, []string{"a3"}) {
		t.Errorf("who was not heard since it was sent back is believed: %+v", s)
	}
	late("a1", false)
	if s = f.waves(func(s api.WaveStatus) bool { return s.State == api.WavesIdle }); !s.Last.Done {
		t.Errorf("the end: %+v", s.Last)
	}
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if had := f.had("new.example.com"); len(had) != 3 {
			return fmt.Errorf("only %v have it", had)
		}
		return nil
	})
}
