package consul

import (
	"errors"
	"fmt"
	"net/http"

	"weir/internal/discovery/httpget"
)

var errFiltered = errors.New("the token may not see all of it: give one that has service:read for it and node:read for its nodes")

func errNoIndex(text string) error {
	if text == "" {
		return errors.New("the answer has no X-Consul-Index: something else answers than Consul, or a proxy in between takes it away")
	}
	return fmt.Errorf("its X-Consul-Index is %q, which is no number", httpget.OneLine(text, 40))
}

// failed says what was asked and of whom, too.
func (s *Source) failed(service string, err error) error {
	what := "the services of its catalogue"
	if service != "" {
		what = "service " + service
	}
	return httpget.Failure("ask Consul at "+s.base.Redacted()+" for "+what, err, s.config.Token)
}

// refused says what Consul said, and what can be done about it.
func (s *Source) refused(got *httpget.Answer) error {
	text := fmt.Sprintf("HTTP %d", got.Status)
	if said := httpget.OneLine(string(got.Body[:min(len(got.Body), 1000)]), 200, s.config.Token); said != "" {
		text += ": " + said
	}
	todo := map[int]string{
		http.StatusBadRequest:          "look at the filter, the namespace and the partition (Consul without Enterprise has neither)",
		http.StatusUnauthorized:        "something before Consul wants to know who asks",
		http.StatusForbidden:           "give a token that Consul knows and that has service:read for it and node:read for its nodes",
		http.StatusNotFound:            "look whether the address is that of Consul's HTTP API",
		http.StatusTooManyRequests:     "raise limits.http_max_conns_per_client or the rate limits of Consul, or watch fewer services",
		http.StatusInternalServerError: "look whether the data centre is right and its servers have a leader",
	}[got.Status]
	if todo == "" {
		return errors.New(text)
	}
	return fmt.Errorf("%s; %s", text, todo)
}
