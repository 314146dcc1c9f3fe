//! The recipe of a collection, and those of single scans in it about which a person decided.

use super::{Recipe, RecipeFacts};
use crate::routing::Scene;

/// A collection's recipe and its variants: a scan that a person put to a scene has the recipe that fixes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipes {
    base: Recipe,
    variants: [(Scene, Recipe); 3],
}

impl Recipes {
    /// The recipes of a collection whose own is `base`.
    pub fn of(base: &Recipe) -> Self {
        Self { base: base.clone(), variants: Scene::COLOURED.map(|scene| (scene, base.for_scene(scene))) }
    }

    /// The recipe of a scan about which nobody decided a scene, or of one that was put to `scene`.
    pub fn wanted(&self, scene: Option<Scene>) -> &Recipe {
        let variant = |scene| self.variants.iter().find(|(known, _)| *known == scene);
        scene.and_then(variant).map_or(&self.base, |(_, recipe)| recipe)
    }

    /// The collection's own recipe and that of every scene, each with its scene.
    pub fn all(&self) -> impl Iterator<Item = (Option<Scene>, &Recipe)> {
        [(None, &self.base)].into_iter().chain(self.variants.iter().map(|(scene, recipe)| (Some(*scene), recipe)))
    }
}

impl Recipe {
    /// This recipe with a fixed scene.
    #[must_use]
    pub fn for_scene(&self, scene: Scene) -> Self {
        Self::new(RecipeFacts { scene_override: Some(scene.to_string()), ..self.facts().clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_has_a_recipe_of_its_own_and_the_one_that_is_fixed_anyway_is_the_same() {
        let base = Recipe::new(crate::job::test_facts());
        let recipes = Recipes::of(&base);
        let digests: std::collections::BTreeSet<_> = recipes.all().map(|(_, recipe)| recipe.digest()).collect();
        assert_eq!(digests.len(), 4);
        assert_eq!(recipes.wanted(None), &base);
        let portraits = Recipes::of(&base.for_scene(Scene::Portrait));
        assert_eq!(portraits.wanted(Some(Scene::Portrait)), portraits.wanted(None));
        assert_eq!(portraits.wanted(Some(Scene::Other)), recipes.wanted(Some(Scene::Other)));
    }
}
