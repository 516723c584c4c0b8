package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/plan"
	"weir/internal/weirtest"
)

// TestChallengesComeAtRunTime: each is one entry of a map that comes, changes and goes, with no reload, and is answered
// before the site's redirect.
func TestChallengesComeAtRunTime(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("www", 33)
		b.node.Sites[0].Listeners = []ir.Listener{{Port: 80, Mode: weir.PortHTTP, RedirectTo: 8080}, {Port: 8080, Mode: weir.PortHTTP}}
		b.converge()
		ask := func(want string) {
			t.Helper()
			client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+netip.AddrPortFrom(b.at(17), 80).String()+"/.well-known/acme-challenge/token", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "www.example"
			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if got := fmt.Sprint(answer.StatusCode, " ", string(body)); err != nil || got != want {
				t.Fatalf("%s, %v; want %s", got, err, want)
			}
		}
		step := func(want string, challenges ...ir.Challenge) {
			t.Helper()
			b.node.Challenges = challenges
			out := b.converge()
			if len(out.Plan.Ops) != 1 || out.Started || out.Reloaded || out.Plan.Ops[0].Path != "maps/challenges.map" || out.Plan.Ops[0].Kind == plan.MapSwap {
				t.Fatalf("challenges %v: %+v", challenges, out.Plan)
			}
			ask(want)
			b.settled()
		}
		ask("308 ")
		step("200 token.print", ir.Challenge{Token: "token", Answer: "token.print"})
		step("200 token.other", ir.Challenge{Token: "token", Answer: "token.other"})
		step("308 ")
	})
}
