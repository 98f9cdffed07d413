#include "card/personalisation_plan.h"

namespace karta::card {
namespace {

template <class Figure>
auto total_of(const PersonalisationPlan& plan, Figure PlanStep::*figure) {
  Figure total{};
  for (const auto* steps : {&plan.prepare, &plan.complete}) {
    for (const PlanStep& step : *steps) total += step.*figure;
  }
  return total;
}

}  // namespace

unsigned PersonalisationPlan::commands() const { return total_of(*this, &PlanStep::commands); }
std::size_t PersonalisationPlan::octets_out() const { return total_of(*this, &PlanStep::octets_out); }
std::size_t PersonalisationPlan::octets_back() const { return total_of(*this, &PlanStep::octets_back); }

WireCount PersonalisationPlan::portrait() const {
  WireCount total;
  for (const PlanStep& step : complete) {
    if (!step.portrait) continue;
    total.commands += step.commands;
    total.octets_out += step.octets_out;
    total.octets_back += step.octets_back;
  }
  return total;
}

}  // namespace karta::card
