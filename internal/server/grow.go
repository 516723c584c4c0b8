package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/store"
)

// joinPath is where a server lets another one into its store.
const joinPath = "/grow/v1/join"

const (
	maxJoin      = 64 << 10
	joinPatience = 60 * time.Second
)

// Grow says where the members of an embedded store are, of which each server holds one.
type Grow struct {
	// Peer is the URL at which the others reach this server's member: https, a host and a port.
	Peer string
	// Join is the URL of a server to ask to be let in, and Token the token for that; both count only while the data
	// folder holds no store.
	Join, Token string
}

// peers gives what the store needs to have members elsewhere, nil when it is to have none.
func (s *server) peers() *store.Peers {
	g := s.opts.Grow
	if g.Peer == "" || s.opts.Cluster != nil {
		return nil
	}
	p := &store.Peers{URL: g.Peer}
	if g.Join != "" {
		p.Join = func(ctx context.Context, ask store.JoinRequest) (store.JoinAnswer, error) {
			return s.askToJoin(ctx, g, ask)
		}
	}
	return p
}

// askToJoin asks another server to let this one in. It is believed by the CA that the token names.
func (s *server) askToJoin(ctx context.Context, g Grow, ask store.JoinRequest) (store.JoinAnswer, error) {
	var answer store.JoinAnswer
	secret, caHash, err := secrets.ParseJoinToken(g.Token)
	if err != nil {
		return answer, err
	}
	at, err := url.Parse(g.Join)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return answer, fmt.Errorf("%q is no address of a server, such as https://weir1.example:7443", g.Join)
	}
	config, err := secrets.ClientTLS(secrets.ClientConfig{ServerName: at.Hostname(), CAHash: caHash, Now: s.opts.Clock})
	if err != nil {
		return answer, err
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	body, err := json.Marshal(ask)
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(g.Join, "/")+joinPath, bytes.NewReader(body))
	if err != nil {
		return answer, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer, fmt.Errorf("ask %s: %w", at.Host, err)
	}
	defer func() { _ = resp.Body.Close() }()
	in := json.NewDecoder(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		var no api.Problem
		if err := in.Decode(&no); err != nil || no.Detail == "" {
			return answer, fmt.Errorf("%s answered %s", at.Host, resp.Status)
		}
		return answer, fmt.Errorf("%s refuses: %s", at.Host, no.Detail)
	}
	if err := in.Decode(&answer); err != nil {
		return answer, fmt.Errorf("read the answer of %s: %w", at.Host, err)
	}
	s.opts.Log.Info("let into the store; catching up", "by", g.Join)
	return answer, nil
}

// letIn serves a server that asks to join.
func (s *server) letIn(w http.ResponseWriter, r *http.Request) {
	ask, answer, err := s.join(r)
	entry := secrets.AuditEntry{Author: "server", What: "join store", Object: ask.URL, Outcome: "accepted", Remote: r.RemoteAddr}
	if err != nil {
		s.opts.Log.Warn("refused a server that asks to join", "address", r.RemoteAddr, "url", ask.URL, "error", err)
		if weir.KindOf(err) == weir.Unauthenticated {
			// Anybody can have these written; the log is enough.
			problem(w, err)
			return
		}
		entry.Outcome, entry.Reason = "refused", err.Error()
	}
	if aerr := s.audit.Append(entry); aerr != nil {
		s.opts.Log.Error("write audit", "error", aerr)
	}
	if err != nil {
		problem(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // an error means that the other side is gone
}

// join spends a token and lets its bearer in. What the token has no part in is looked at before it is spent.
func (s *server) join(r *http.Request) (store.JoinRequest, store.JoinAnswer, error) {
	var ask store.JoinRequest
	text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, err := s.serverToken(text)
	if err != nil {
		return ask, store.JoinAnswer{}, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxJoin))
	if err == nil {
		err = json.Unmarshal(body, &ask)
	}
	if err != nil {
		return ask, store.JoinAnswer{}, weir.Errorf(weir.Invalid, "the request to join can't be read; do both servers have the same version?")
	}
	if err := s.store.CheckJoin(ask); err != nil {
		return ask, store.JoinAnswer{}, err
	}
	at, err := url.Parse(ask.URL)
	if host := token.Spec.(*weir.Token).Server.Host; err != nil || host != "" && at.Hostname() != host {
		return ask, store.JoinAnswer{}, weir.Errorf(weir.Forbidden, "the token is for a server at %s, not %s", host, ask.URL)
	}
	_, err = s.store.Apply(r.Context(), store.Request{
		Author: "server:" + at.Host, Reason: "joins the store with token " + token.Metadata.Name,
		Writes: []weir.Write{{Delete: token.Ref(), IfMatch: token.Revision}},
	})
	if err != nil {
		return ask, store.JoinAnswer{}, err
	}
	answer, err := s.store.Admit(r.Context(), ask)
	return ask, answer, err
}

func (s *server) serverToken(text string) (*weir.Object, error) {
	hash, err := secrets.HashToken(text)
	if err != nil {
		return nil, weir.Errorf(weir.Unauthenticated, "joining needs a token made by weir token server")
	}
	for o := range s.store.View().All("Token") {
		t := o.Spec.(*weir.Token)
		if t.Server == nil || t.Hash != hash {
			continue
		}
		if !t.ExpiresAt.IsZero() && s.opts.Clock().After(t.ExpiresAt) {
			return nil, weir.Errorf(weir.Unauthenticated, "the token ended at %s: make a new one with weir token server", t.ExpiresAt.UTC().Format(time.RFC3339))
		}
		return o, nil
	}
	return nil, weir.Errorf(weir.Unauthenticated, "the token is not known; it may have been used already: make a new one with weir token server")
}

func problem(w http.ResponseWriter, err error) {
	statuses := map[weir.ErrorKind]int{
		weir.Invalid: http.StatusBadRequest, weir.Forbidden: http.StatusForbidden, weir.Unauthenticated: http.StatusUnauthorized,
		weir.Conflict: http.StatusConflict, weir.Stale: http.StatusPreconditionFailed,
	}
	status, ok := statuses[weir.KindOf(err)]
	detail := err.Error()
	if !ok {
		status, detail = http.StatusServiceUnavailable, "the server can't let anybody in now; its log says why"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Status: status, Title: http.StatusText(status), Detail: detail})
}

// memberSource implements api.MemberSource.
type memberSource struct{ store *store.Store }

// Store implements api.MemberSource.
func (m memberSource) Store(ctx context.Context) (api.StoreStatus, error) {
	out := api.StoreStatus{Servers: []api.ServerStatus{}, Outside: m.store.OwnMember() == ""}
	members, err := m.store.StoreMembers(ctx)
	if err != nil {
		return out, err
	}
	servers, err := m.servers(ctx)
	if err != nil && out.Outside {
		return out, err
	}
	// Without a majority nobody knows which servers run: the members are listed, and only this one is surely there.
	runs := map[string]string{}
	for _, one := range servers {
		out.Servers = append(out.Servers, api.ServerStatus{Name: one.Name, URL: one.URL, Version: one.Version, Started: one.Started, SealingKeys: one.SealingKeys})
		runs[one.StoreMember] = one.URL
	}
	for _, one := range members {
		out.Members = append(out.Members, api.MemberStatus{
			Name: one.Name, URL: one.URL, Healthy: one.Own || runs[one.ID] != "", Leader: one.Leader, Learner: one.Learner, Server: runs[one.ID],
		})
	}
	if err == nil {
		out.Sealing, err = m.sealing(ctx)
	}
	if err != nil && out.Outside {
		return out, err
	}
	return out, nil
}

// membersPatience is how long a majority may take to say which servers run: people who ask wait for it.
const membersPatience = 3 * time.Second

func (m memberSource) servers(ctx context.Context) ([]store.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, membersPatience)
	defer cancel()
	return m.store.Members(ctx)
}

// Remove implements api.MemberSource.
func (m memberSource) Remove(ctx context.Context, name string) error {
	_, err := m.store.RemoveMember(ctx, name)
	return err
}

// lost is the error of a server whose store has ended by itself; it waits for that until ctx ends.
func (s *server) lost(ctx context.Context) error {
	select {
	case <-s.store.Lost():
		if ctx.Err() == nil {
			return errors.Join(errors.New("the store has ended"), s.store.ErrRemoved())
		}
	case <-ctx.Done():
	}
	return nil
}
