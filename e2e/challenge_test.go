package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/secrets"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// TestChallengesAreAnsweredByTheWholeGroup: what one server of a store is asked by an authority is answered by every load
// balancer of the group, whichever server its agent has, before the site's redirect, without a reload, and is gone after.
func TestChallengesAreAnsweredByTheWholeGroup(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	one, two := newCluster(t)
	two.token = one.token
	local := func(host int) string {
		return fmt.Sprintf(`,"localRanges":{"%s/28":"%s/28"}`, one.at(16), one.at(host))
	}
	one.apply(strings.Replace(one.oneZone(), "listeners: [{port: 8080}]", "listeners: [{port: 80, redirect: https}, {port: 8443, tls: {certificates: [www]}}]", 1) +
		newAuthority(t, "ca").issue("www.example.com").manifest("www"))
	one.join("lb1", "edge", "az1", h, local(32))
	two.join("lb2", "edge", "az1", h, local(48))
	one.converged(1)
	keyring, err := secrets.ParseKeyring(one.sealingKey())
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Cluster: one.cluster(), Keyring: keyring})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	generation := int64(0)
	share := func(list ...map[string]string) {
		t.Helper()
		text, err := json.Marshal(append([]map[string]string{}, list...))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetPlatform(t.Context(), "challenges", text, generation); err != nil {
			t.Fatal(err)
		}
		generation++
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answered := func(want string) {
		t.Helper()
		for _, host := range []int{33, 49} {
			weirtest.Eventually(t, waitLong, func() error {
				request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+one.at(host).String()+"/.well-known/acme-challenge/Token-1", nil)
				if err != nil {
					return err
				}
				request.Host = "www.example.com"
				answer, err := client.Do(request)
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				if got := fmt.Sprint(answer.StatusCode, " ", string(body)); err != nil || got != want {
					return fmt.Errorf("%s: %q %v, want %q", one.at(host), got, err, want)
				}
				return nil
			})
		}
	}
	reloads := one.reloads()
	answered("308 ")
	share(map[string]string{"name": "www.example.com", "token": "Token-1", "answer": "Token-1.print"})
	answered("200 Token-1.print")
	share()
	answered("308 ")
	if now := one.reloads(); now != reloads {
		t.Errorf("%d reloads, there were %d", now, reloads)
	}
}
