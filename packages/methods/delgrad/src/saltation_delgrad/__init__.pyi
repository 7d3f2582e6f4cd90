from ._delgrad import DelGrad as DelGrad
