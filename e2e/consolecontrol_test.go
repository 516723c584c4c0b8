package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// control serves what scripts do to the world past the page, and gives its address.
func (w *consoleWorld) control() string {
	w.t.Helper()
	mux := http.NewServeMux()
	// Scripts run one after the other, and so does what they ask for.
	var mu sync.Mutex
	handle := func(what string, do func(body []byte) (any, error)) {
		mux.HandleFunc("POST /"+what, func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			body, err := io.ReadAll(r.Body)
			var answer any
			if err == nil {
				answer, err = do(body)
			}
			if err != nil {
				http.Error(rw, err.Error(), http.StatusBadRequest)
				return
			}
			if answer != nil {
				_, _ = io.WriteString(rw, toJSON(answer))
			}
		})
	}
	handle("send", func(body []byte) (any, error) {
		var ask sending
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		addr, ok := w.places()[ask.Balancer][ask.Home]
		if !ok {
			return nil, fmt.Errorf("send: no load balancer %q with an address of %q", ask.Balancer, ask.Home)
		}
		return w.send(addr, ask), nil
	})
	handle("answer", func(body []byte) (any, error) {
		var ask struct {
			Name, Path string
			Status     int
		}
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		o, err := w.originOf(ask.Name)
		if err == nil {
			w.moved[ask.Name] = "answer"
			o.SetStatus(ask.Path, ask.Status)
		}
		return nil, err
	})
	handle("connect", func(body []byte) (any, error) {
		var ask struct {
			Balancer, Home, Name string
			Port                 int
		}
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		addr, _, _ := strings.Cut(w.places()[ask.Balancer][ask.Home], ":")
		if addr == "" {
			return nil, fmt.Errorf("connect: no load balancer %q with an address of %q", ask.Balancer, ask.Home)
		}
		got, err := connected(fmt.Sprintf("%s:%d", addr, ask.Port), ask.Name)
		if err != nil {
			got.Failed = err.Error()
		}
		return got, nil
	})
	handle("certificate", func(body []byte) (any, error) {
		var ask struct{ Name, Role, Host string }
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		text := w.ca.issue(ask.Host).manifest(ask.Name)
		return map[string]string{"manifest": strings.Replace(text, "{name: "+ask.Name+"}", fmt.Sprintf("{name: %s, role: %s}", ask.Name, ask.Role), 1)}, nil
	})
	handle("origin", func(body []byte) (any, error) {
		var ask struct{ Name, What string }
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		o, err := w.originOf(ask.Name)
		if err != nil {
			return nil, err
		}
		w.moved[ask.Name] = ask.What
		switch ask.What {
		case "stop":
			o.Stop()
		case "start":
			o.Restart(w.t)
		case "sick":
			o.SetStatus("/ping", http.StatusServiceUnavailable)
		case "well":
			o.SetHealthy(true)
		default:
			return nil, fmt.Errorf("origin: %q is not stop, start, sick or well", ask.What)
		}
		return nil, nil
	})
	handle("agent", func(body []byte) (any, error) {
		var ask struct{ Name, What string }
		if err := json.Unmarshal(body, &ask); err != nil {
			return nil, err
		}
		a, ok := w.agents[ask.Name]
		if !ok {
			return nil, fmt.Errorf("agent: there is no %q", ask.Name)
		}
		w.moved[ask.Name] = ask.What
		switch ask.What {
		case "stop":
			a.stop()
		case "start":
			a.stop()
			w.startAgent(a)
		case "kill":
			w.killHAProxy(a)
		default:
			return nil, fmt.Errorf("agent: %q is not stop, start or kill", ask.What)
		}
		return nil, nil
	})
	handle("converged", func([]byte) (any, error) {
		w.converged(0)
		return nil, nil
	})
	handle("provider", func(body []byte) (any, error) {
		var claims map[string]any
		if err := json.Unmarshal(body, &claims); err != nil {
			return nil, err
		}
		if w.provider == nil {
			w.provider = weirtest.NewOpenID(w.t, time.Now)
			w.provider.Register(w.url + "/signin/people/callback")
		}
		w.provider.SignIn(claims)
		return map[string]string{"issuer": w.provider.Issuer, "authority": w.provider.Authority, "clientID": w.provider.ClientID, "secret": w.provider.Secret}, nil
	})
	handle("restore", func([]byte) (any, error) { return nil, w.restore() })
	srv := httptest.NewServer(mux)
	w.t.Cleanup(srv.Close)
	return srv.URL
}

// objects reads all wishes but tokens, by kind and name, without their status, and the revision that they had before.
func (w *consoleWorld) objects() (map[string]string, int64, error) {
	all := map[string]string{}
	var status fleet
	if _, err := w.call("GET", "/api/v1/status", "", &status); err != nil {
		return nil, 0, err
	}
	for _, kind := range weir.Kinds() {
		if kind.ReadOnly || kind.Name == "Token" {
			continue
		}
		var list struct{ Items []map[string]any }
		if _, err := w.call("GET", "/api/v1/"+kind.Plural, "", &list); err != nil {
			return nil, 0, err
		}
		for _, o := range list.Items {
			metadata, _ := o["metadata"].(map[string]any)
			all[kind.Name+"/"+fmt.Sprint(metadata["name"])] = toJSON(map[string]any{"kind": o["kind"], "metadata": metadata, "spec": o["spec"]})
		}
	}
	return all, status.Revision, nil
}

// note makes the present wishes those to which restore goes back.
func (w *consoleWorld) note() {
	w.t.Helper()
	var err error
	if w.base, w.at0, err = w.objects(); err != nil {
		w.t.Fatal(err)
	}
}

// restore takes back what a script did: to wishes, to servers, to agents.
func (w *consoleWorld) restore() error {
	for name, a := range w.agents {
		if w.moved[name] == "stop" {
			w.startAgent(a)
		}
	}
	for zone, list := range w.servers {
		for i, o := range list {
			o.SetHealthy(true)
			if w.moved[fmt.Sprintf("%s-%d", zone, i)] == "stop" {
				o.Restart(w.t)
			}
		}
	}
	if len(w.moved) > 0 {
		clear(w.moved)
		w.converged(0)
		w.settled()
	}
	now, revision, err := w.objects()
	if err != nil || revision == w.at0 {
		return err
	}
	var items, gone []string
	for name, text := range w.base {
		if now[name] != text {
			items = append(items, text)
		}
	}
	for name := range now {
		if _, ok := w.base[name]; !ok {
			gone = append(gone, "delete="+url.QueryEscape(name))
		}
	}
	w.at0 = revision
	if len(items)+len(gone) == 0 {
		return nil
	}
	slices.Sort(gone)
	var answer struct{ Revision int64 }
	if _, err := w.call("POST", "/api/v1/apply?reason=restore&"+strings.Join(gone, "&"), `{"kind":"List","items":[`+strings.Join(items, ",")+`]}`, &answer); err != nil {
		return err
	}
	w.at0 = answer.Revision
	w.converged(answer.Revision)
	return nil
}
