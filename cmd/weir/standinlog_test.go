package main

import (
	"context"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"weir"
	"weir/internal/api"
)

// logs LOADBALANCER… lets load balancers have logged some requests, with what a hostile client and server may send.
func logs(ts *testscript.TestScript, neg bool, args []string) {
	planeOf(ts).status.set(func(s *standIn) { s.logging = args })
}

// Log implements api.LogSource.
func (s *standIn) Log(ctx context.Context, lb string, ask api.LogAsk, take func(api.LogPart)) error {
	s.mu.Lock()
	at := slices.Index(s.logging, lb)
	s.mu.Unlock()
	if at < 0 {
		return weir.Errorf(weir.Unavailable, "the agent of load balancer %s is not connected to the control plane", lb)
	}
	begin := theNow.Add(-time.Minute + time.Duration(at)*time.Second)
	lines := []api.LogLine{
		{Time: begin, Kind: "http", Client: "203.0.113.7", Method: "GET", Host: "www.example.com", Path: "/api/x", Status: 200, Zone: "az1", Pool: "web-az1", Server: "web-az1-1", Timers: api.LogTimers{Total: 41}, Termination: "--"},
		{
			Time: begin.Add(2 * time.Second), Kind: "http", Client: "2001:db8::1", Method: "GET", Host: "www.example.com\x1b]0;owned\x07", Path: "/\x1b[2J\u202e\u009b31m", Status: 503,
			Pool: "web-az2", Timers: api.LogTimers{Total: -1}, Termination: "sC", Retries: 3, Limited: "429:edge,", RequestHeaders: map[string]string{"user-agent": "curl\n2030 fake line\x1b[0m"},
		},
	}
	part := api.LogPart{Run: "r", Left: 1234 * (1 - at), Live: true}
	for _, l := range lines {
		if l.LoadBalancer = lb; ask.Status == 0 || ask.Status == l.Status/100 {
			part.Lines = append(part.Lines, l)
		}
	}
	take(part)
	if ask.Follow {
		<-ctx.Done()
	}
	return nil
}
