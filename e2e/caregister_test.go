package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// TestCAChangesWhileServersAreRegistered: each step is asked for as soon as the control plane takes it. Who is registered
// stays so, without a moment's pause, and has a certificate of the new CA afterwards; one that is started again with the old
// pin in its file goes on.
func TestCAChangesWhileServersAreRegistered(t *testing.T) {
	t.Parallel()
	w := newRegistering(t)
	w.apply(w.registeredZone())
	token := w.registrationToken("web")
	w.join("lb1", "edge", "az1", weirtest.HAProxies(t)[0], "")
	var servers []*registrant
	for i := range 3 {
		name := fmt.Sprintf("web-%d", i+1)
		w.origin(200+i, name)
		servers = append(servers, w.registrant(name, 200+i, token).start())
	}
	at := w.at(17).String() + ":8080"
	w.onlyFrom(at, "www.example.com", "web-1", "web-2", "web-3")
	clients := w.send(at, "www.example.com")
	old := w.caHash

	begun := w.changeCA(api.CABegin)
	w.pin(old, begun.Newest)
	if known := begun.Registered; known.Of != 3 || known.Know != 0 || len(known.Unaware) != 3 {
		t.Errorf("as soon as there is a new CA, of those that are registered %+v", known)
	}
	if _, err := w.call("POST", "/api/v1/ca/rotate?step=continue", "", nil); err == nil || !strings.Contains(err.Error(), "3 of 3 have not told that they believe the new CA, such as web-1, web-2, web-3") {
		t.Errorf("the new CA is to issue before anybody knows it, and that is answered with %v", err)
	}
	w.changeCA(api.CAContinue)
	w.changeCA(api.CAFinish)
	w.pin(begun.Newest)
	for _, r := range servers {
		weirtest.Eventually(t, waitLong, func() error {
			bundle, err := os.ReadFile(filepath.Join(filepath.Dir(r.file), "ca.crt"))
			if err != nil {
				return err
			}
			trust, err := secrets.ParseTrust(bundle)
			if err != nil {
				return err
			}
			if believed := trust.Hashes(); len(believed) != 1 || believed[0] != begun.Newest {
				return fmt.Errorf("%s believes %s", r.name, believed)
			}
			return nil
		})
	}
	told, err := w.written()
	if err != nil {
		t.Fatal(err)
	}
	for name, states := range told {
		if len(states) != 1 || !strings.HasPrefix(states[0], weir.RegistrationHealthy) {
			t.Errorf("%s became %s", name, states)
		}
	}
	if err := servers[2].process.Stop(); err != nil {
		t.Errorf("weir register: %v", err)
	}
	servers[2].is(weir.RegistrationWithdrawn)
	servers[2].start().is(weir.RegistrationHealthy)
	w.onlyFrom(at, "www.example.com", "web-1", "web-2", "web-3")
	clients.flawless()
}
