package coraza_test

import (
	"testing"

	"gatehouse/rules/coraza"
	"gatehouse/rules/rulestest"
)

func TestRuleFiles(t *testing.T) {
	rulestest.Run(t, coraza.New(coraza.Options{}), "../rulestest/testdata/engine")
}
