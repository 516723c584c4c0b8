package main

import (
	"fmt"
	"strings"
	"time"

	"weir"
)

// registeredCell says what is said of a server's health, for how long, and why; empty for one without a registration.
func registeredCell(r *weir.Registration, now time.Time) cell {
	if r == nil {
		return cell{}
	}
	c := cell{r.State + " " + span(now.Sub(r.Since)), warning}
	switch r.State {
	case weir.RegistrationHealthy:
		c.tone = good
	case weir.RegistrationWithdrawn, weir.RegistrationStale:
		c.tone = bad
	}
	if r.Reason != "" && r.State != weir.RegistrationHealthy {
		c.text += ": " + r.Reason
	}
	return c
}

// admitted gives n/m of the servers that registrations let into a pool, and what is the matter with the others.
func admitted(o *object) cell {
	a := o.condition(weir.Admitted)
	if a == nil {
		return cell{}
	}
	c := cell{fmt.Sprintf("%d/%d", a.Ready, a.Of), good}
	switch {
	case a.Status == "Unknown":
		return cell{"unused", faint}
	case a.Ready == 0:
		c.tone = bad
	case a.Status == "False":
		c.tone = warning
	}
	if a.Reason != "Registered" {
		c.text += " " + strings.ToLower(a.Reason)
	}
	return c
}
