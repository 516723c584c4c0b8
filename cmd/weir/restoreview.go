package main

import (
	"fmt"
	"time"

	"weir/internal/api"
)

// printHeld says first of all that nothing is sent to load balancers, and why.
func printHeld(s *screen, r *api.Restored) {
	if r == nil || !r.Held {
		return
	}
	s.line(s.wrapped("", s.bad("HELD")+fmt.Sprintf(": restored from the backup of %s (revision %s). Load balancers keep what they have, until you have looked at weir restore plan and run weir restore accept --reason \"…\".", clock(r.BackupAt), itoa(r.BackupRevision))))
}

// printStrangers names agents whose load balancers do not exist.
func printStrangers(s *screen, list []api.Stranger, now time.Time) {
	for i, one := range list {
		if i == mostOutages {
			s.printf("  %s\n", s.faint(fmt.Sprintf("… and %d more, with -o json", len(list)-mostOutages)))
			return
		}
		s.line(s.wrapped("  ", s.warning("! "+clean(one.Name))+fmt.Sprintf(" at %s came %s", clean(one.Address), ago(one.Last, now))))
	}
}

const strangersAre = "Agents that come and are refused, since there is no load balancer of the name; they serve on with what they have:"

func printRestorePlan(s *screen, p *api.RestorePlan, sizes map[string]int, commands bool, now time.Time) {
	s.line(s.wrapped("", fmt.Sprintf("Restored %s from the backup of %s (revision %s), and held: load balancers keep what they have.",
		ago(p.Restored.RestoredAt, now), clock(p.Restored.BackupAt), itoa(p.Restored.BackupRevision))))
	printEffects(s, &p.Plan, sizes, commands)
	if n := len(p.Same); n > 0 {
		s.printf("\n%s\n", s.wrapped("", s.good(count(n, "load balancer has", "load balancers have"))+" what was restored: "+clean(some(p.Same, 6))))
	}
	if len(p.Unknown) > 0 {
		s.printf("\n%s\n", s.warning("Nobody knows what these have, and so what they would do:"))
		for _, one := range p.Unknown {
			s.line(s.wrapped("  ", s.warning("! "+clean(one.Name))+" of "+clean(one.Group)+": "+oneLine(one.Why)))
		}
	}
	for _, text := range p.Silent {
		s.printf("\n%s\n", s.wrapped("", s.warning("! ")+oneLine(text)))
	}
	if len(p.Strangers) > 0 {
		s.printf("\n%s\n", s.wrapped("", s.warning("Not in the backup: their agents come and are refused, and they serve on with what they have until they join again (weir token join):")))
		printStrangers(s, p.Strangers, now)
	}
	printRestoredCertificates(s, p)
	s.printf("\n%s %s.\n", s.strong("Plan:"), restoreSummary(p))
	s.line(s.faint("weir restore accept --reason \"…\" lets it happen; what is missing can be applied before."))
}

// printRestoredCertificates names those that were renewed or revoked after the backup, which can't tell.
func printRestoredCertificates(s *screen, p *api.RestorePlan) {
	if len(p.Certificates) > 0 {
		s.printf("\n%s\n", s.wrapped("", s.warning("Certificates of the backup that would be shown again. Whether they were revoked since, the backup does not know; if so, run weir certificate revoke NAME before you accept, else weir certificate renew NAME:")))
	}
	for i, one := range p.Certificates {
		if i == mostOutages {
			s.printf("  %s\n", s.faint(fmt.Sprintf("… and %d more, with -o json", len(p.Certificates)-mostOutages)))
			return
		}
		now := "load balancers have none of it now"
		if one.Now == api.CertificateOther {
			now = "load balancers have another one of it now"
		}
		if one.Issuer == "" {
			now += "; it was uploaded: apply the newer one"
		}
		s.line(s.wrapped("  ", s.warning("! "+clean(one.Name))+" of serial number "+clean(one.Serial)+": "+now))
	}
}

func restoreSummary(p *api.RestorePlan) string {
	reload, runtime := reloading(&p.Plan)
	text := "no load balancer has anything to do"
	switch {
	case reload > 0 && runtime > 0:
		text = count(runtime, "load balancer changes", "load balancers change") + " at run time, " + count(reload, "reloads", "reload")
	case reload > 0:
		text = count(reload, "load balancer reloads", "load balancers reload")
	case runtime > 0:
		text = count(runtime, "load balancer changes", "load balancers change") + " at run time, none reloads"
	}
	if n := len(p.Unknown); n > 0 {
		text += fmt.Sprintf("; %d not known", n)
	}
	if n := len(p.Strangers); n > 0 {
		text += fmt.Sprintf("; %d not in the backup", n)
	}
	if n := len(p.Certificates); n > 0 {
		text += "; " + count(n, "certificate is", "certificates are") + " shown again"
	}
	return text
}
