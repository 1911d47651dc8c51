// A hit's way through the stages: its rank and score in each that ran.
import { element, unseen } from "./dom.js";
import { label } from "./labels.js";
import { score } from "./numbers.js";

const ORDER = ["lexical", "dense", "fused", "rerank"];

/** Names of the stages that ran, by the hits of one answer. */
export function stagesThatRan(hits) {
  return ORDER.filter((stage) => hits.some((hit) => hit.stages[stage]));
}

/** Draw a hit's way: lexical and dense side by side, then what came of them. */
export function way(hit, ran) {
  const steps = ran.map((stage) => step(stage, hit.stages[stage]));
  return element("ol", { class: "way", "aria-label": label("way") }, steps);
}

function step(stage, place) {
  const follows = stage === "fused" || stage === "rerank";
  return element(
    "li",
    { class: follows ? "step follows" : "step" },
    element("span", { class: "stage" }, label(stage)),
    " ",
    place
      ? [unseen(label("rank")), element("b", {}, ` #${place.rank}`), " ",
         unseen(label("score")), element("span", { class: "score" }, ` ${score(place.score)}`)]
      : [unseen(label("absent")), element("span", { "aria-hidden": "true" }, "–")],
  );
}
